import * as v from "valibot";
import type { Coding, TensorSource } from "../../../formats/container.js";
import { byteLength } from "../../../formats/dtype.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import { inHalves } from "./fp4-blocks.js";
import type { Packing } from "./packing.js";
import type { Parts } from "./parts.js";

/** Columns of a block, and the bytes of its quants. */
const COLUMNS = 32;
const QUANTS = 16;

/**
 * gpt-oss's experts: `X_blocks` [experts, rows, columns / 32, 16] of two numbers of E2M1 in a byte, the lower half first,
 * and `X_scales` [experts, rows, columns / 32] of E8M0. GGUF's MXFP4 is the same with bytes and halves of bytes in another
 * order, so rows come out as that. Row r of the weight is row `first + r × step` of the file.
 */
export interface Mxfp4Coding extends Coding {
  readonly kind: "mxfp4-blocks";
  readonly scales: Pick<TensorSource, "file" | "offset">;
  readonly first: number;
  readonly step: number;
}

export const mxfp4Blocks: Packing<Mxfp4Coding> = {
  kind: "mxfp4-blocks",
  title: "mxfp4",
  methods: ["mxfp4"],
  fields: v.unknown(),
  across: false,
  typeOf: () => "MXFP4",
  weightOf: (name, { type }) =>
    type === "U8" && name.endsWith("_blocks") ? name.replace(/_blocks$/, "") : undefined,

  locate(parts, name, raw) {
    const { file, offset, byteLength: length, shape } = raw;
    const [experts, rows, blocks, quants] = shape;
    if (shape.length !== 4 || !experts || !rows || !blocks || quants !== QUANTS) {
      return parts.fail(
        t`${name} is U8 of shape ${shape.join(" x ")}; blocks of ${QUANTS} bytes were expected`,
      );
    }
    const scales = scalesOf(parts, name.replace(/_blocks$/, "_scales"), [experts, rows, blocks]);
    const coded: Mxfp4Coding = { kind: "mxfp4-blocks", scales, first: 0, step: 1 };
    const weight = [experts, rows, blocks * COLUMNS];
    return { file, offset, byteLength: length, dtype: "MXFP4", shape: weight, coded };
  },

  decode(reader, { scales, first: start, step }, { source, first, count, dst }) {
    const { kernels } = reader;
    const blocks = rowLength(source) / COLUMNS;
    const pitch = byteLength("MXFP4", [rowLength(source)]);
    const span = (count - 1) * step + 1;
    const stored = start + first * step;
    const quants = reader.bytes(source, stored * blocks * QUANTS, span * blocks * QUANTS).slice();
    const exponents = reader.bytes({ ...source, ...scales }, stored * blocks, span * blocks).slice();
    const out = kernels.bytes(dst, count * pitch);
    for (let row = 0, to = 0; row < count; row++) {
      for (let block = row * step * blocks, end = block + blocks; block < end; block++) {
        out[to++] = exponents[block]!;
        inHalves(quants, block * QUANTS, out, to, COLUMNS);
        to += QUANTS;
      }
    }
  },
};

function scalesOf(parts: Parts, name: string, shape: readonly number[]): Mxfp4Coding["scales"] {
  const raw = parts.raw(name);
  const isOfBytes = raw?.type === "U8" || raw?.type === "F8_E8M0";
  if (raw === undefined || !isOfBytes || raw.shape.join() !== shape.join()) {
    return parts.fail(
      t`${name} is ${raw === undefined ? t`missing` : t`${raw.type} of ${raw.shape.join(" x ")}`}`,
    );
  }
  return { file: raw.file, offset: raw.offset };
}

/** Every so manieth row of such a weight, from the `first` on; undefined for a source that is none. */
export function everyRow(source: TensorSource, first: number, step: number): TensorSource | undefined {
  const { coded, shape } = source;
  if (coded?.kind !== "mxfp4-blocks") return undefined;
  const own = coded as Mxfp4Coding;
  const [experts, rows, columns] = shape as [number, number, number];
  return {
    ...source,
    shape: [experts, rows / step, columns],
    coded: { ...own, first: own.first + first * own.step, step: own.step * step } as Mxfp4Coding,
  };
}
