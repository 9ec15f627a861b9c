import { type DTypeName, dtype } from "../../../formats/dtype.js";
import { LlqError } from "../../../formats/errors.js";
import type { Kernels } from "../../kernels/kernels.js";
import { t } from "../../language/t.js";
import { checkFinite } from "../../rows/finite.js";
import { rowBytes } from "../../rows/rows.js";
import type { Tensor } from "../../tensor.js";

/** Rows as they were and as they read back from what is to be written: addresses of `rows` × `length` f32 each. */
export interface WrittenRows {
  readonly x: number;
  readonly back: number;
  readonly firstRow: number;
  readonly rows: number;
  readonly length: number;
}

/** An error of a weight that is none of rounding: its square is beyond f32. */
const LOST = 1e18;
const LARGEST_F16 = 65504;
const LARGEST_BF16 = 3.3895313892515355e38;

/** Weights that are read back at a time. */
const PIECE = 1 << 16;

/**
 * Quantizes `rows` × `length` f32 at `x` to `y`, and reads them back. Scratch memory above the current mark is used and
 * given back.
 * @throws LlqError `bad-input` for a weight that is no finite number, or becomes none
 */
export function quantizeChecked(
  kernels: Kernels,
  tensor: Tensor,
  type: DTypeName,
  { x, firstRow, rows, length }: Omit<WrittenRows, "back">,
  y: number,
): void {
  checkFinite(kernels, tensor, x, rows * length, firstRow);
  kernels.fromF32(type, x, y, rows * length);
  const mark = kernels.mark();
  const step = Math.max(1, Math.floor(PIECE / length));
  const back = kernels.reserve(Math.min(step, rows) * length * 4);
  const stats = kernels.reserve(24);
  for (let done = 0; done < rows; done += step) {
    const some = Math.min(step, rows - done);
    const from = x + done * length * 4;
    kernels.toF32(type, y + done * rowBytes(tensor, type), back, some * length);
    kernels.bytes(stats, 24).fill(0);
    if (!Number.isFinite(kernels.call("error_stats")(from, back, some * length, stats)))
      checkOverflow(kernels, tensor, type, { x: from, back, firstRow: firstRow + done, rows: some, length });
  }
  kernels.reset(mark);
}

/**
 * Looks for the weight that a type cannot hold: a float too large for it, or a block whose scale, an F16, is beyond
 * 65504.
 * @throws LlqError `bad-input` naming the largest weight of the row, and the type that would hold it
 */
export function checkOverflow(
  kernels: Kernels,
  { name }: Tensor,
  type: DTypeName,
  { x, back, firstRow, rows, length }: WrittenRows,
): void {
  const { blockSize } = dtype(type);
  const original = kernels.floats(x, rows * length);
  const read = kernels.floats(back, rows * length);
  // Searches for the best scale may overflow and give up: then a block of zeros is written.
  const isLost = (value: number, i: number) => Math.abs(value - original[i]!) > LOST && blockSize > 1;
  const index = read.findIndex((value, i) => !Number.isFinite(value) || isLost(value, i));
  if (index < 0) return;
  // A row's sums may overflow, too, and spoil blocks of small weights: the largest is at fault in any case.
  const start = index - (index % length);
  const row = original.subarray(start, start + length);
  const column = row.reduce((at, value, i) => (Math.abs(value) > Math.abs(row[at]!) ? i : at), 0);
  const value = row[column]!;
  const place = t`row ${firstRow + start / length}, column ${column}`;
  const why = blockSize === 1 ? t`which ${type} has as Infinity` : t`too large for a block of ${type}`;
  const wide = Math.abs(value) <= LARGEST_BF16 ? "BF16" : "F32";
  const limit =
    type === "F16" || blockSize > 1 ? t` (F16, its scales' type too, ends at ${LARGEST_F16})` : "";
  throw new LlqError("bad-input", t`tensor ${name}: ${place}: the weight is ${value}, ${why}`, {
    hint: t`${wide} would hold it${limit}: --tensor ${name}=${wide} for quantize, --type ${wide.toLowerCase()} for convert and generate`,
  });
}
