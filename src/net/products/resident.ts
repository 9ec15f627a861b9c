import type { DTypeName } from "../../../formats/dtype.js";
import type { Kernels } from "../../kernels/kernels.js";
import { type Descriptors, readRowsF32, readStoredRows, rowBytes } from "../../rows/rows.js";
import { quantizeChecked } from "../../run/write/overflow.js";
import { keepsStoredValues, rowCount, rowLength, type Tensor } from "../../tensor.js";
import { type Form, int8Form, multiplyInt8, packedSize } from "./int8.js";
import { expandLean, isLean, leanSize, multiplyLean, packLean } from "./lean.js";
import type { Activations } from "./matmul.js";
import { readTransposed, readVector } from "./streamed.js";
import { type Membership, type Part, type Rows, shareOfRows, type Weights } from "./weights.js";

/** With more tokens than these, rows are laid out for the products of many (a slab at a time). */
const FEW_TOKENS = 16;
/** Rows that are laid out together. */
const SLAB_ROWS = 256;

/** A thread's rows of a matrix in the kernels' memory. */
interface Resident {
  /** What they are multiplied as; undefined: f32 that no file has as such. */
  readonly type: DTypeName | undefined;
  /** Laid out for products (lean.ts), or rows as a file would have them. */
  readonly lean: boolean;
  readonly address: number;
  readonly first: number;
}

/** What a thread loads: from where, and as what. */
export interface Source {
  readonly files: Descriptors;
  readonly activations: Activations;
  /** Types that tensors are quantized to on the way, by their names; others stay as they are stored. */
  readonly types: ReadonlyMap<string, DTypeName>;
}

/**
 * Weights that were read once and stay: of every matrix this thread's share of the rows. They are in the memory of one
 * Kernels, reserved in the order of loading.
 */
export class ResidentWeights implements Weights {
  readonly #kernels: Kernels;
  readonly #source: Source;
  readonly #member: Membership;
  readonly #matrices = new Map<Tensor, Resident>();
  readonly #floats = new Map<Tensor, number>();

  constructor(kernels: Kernels, source: Source, member: Membership) {
    this.#kernels = kernels;
    this.#source = source;
    this.#member = member;
  }

  /** Reads this thread's rows of a matrix. */
  loadMatrix(weight: Tensor): void {
    if (this.#matrices.has(weight)) return;
    const kernels = this.#kernels;
    const layout = layoutOf(kernels, this.#source, weight);
    const [first, rows] = shareOfRows(this, rowCount(weight));
    const address = kernels.reserve(residentBytes(kernels, layout, weight, rows));
    const mark = kernels.mark();
    for (let done = 0; done < rows; done += SLAB_ROWS) {
      const count = Math.min(SLAB_ROWS, rows - done);
      const to = address + residentBytes(kernels, layout, weight, done);
      const stored = layout.lean ? kernels.reserve(count * storedBytes(layout, weight)) : to;
      this.#read(weight, layout.type, first + done, count, stored);
      if (layout.lean) packLean(kernels, layout.type!, stored, count, rowLength(weight), to);
      kernels.reset(mark);
    }
    this.#matrices.set(weight, { ...layout, address, first });
  }

  /** Rows as a file would have them in that type, quantized if it is another: of finite weights alone. */
  #read(weight: Tensor, type: DTypeName | undefined, first: number, rows: number, dst: number): void {
    const kernels = this.#kernels;
    const { files } = this.#source;
    if (type === weight.dtype && keepsStoredValues(weight)) {
      readStoredRows(kernels, files, weight, first, rows, dst);
    } else if (type === undefined) readRowsF32(kernels, files, weight, first, rows, dst);
    else {
      const length = rowLength(weight);
      const mark = kernels.mark();
      const floats = kernels.reserve(rows * length * 4);
      readRowsF32(kernels, files, weight, first, rows, floats);
      quantizeChecked(kernels, weight, type, { x: floats, firstRow: first, rows, length }, dst);
      kernels.reset(mark);
    }
  }

  /** Reads a vector, or a small matrix as `transposed` gives it. */
  loadFloats(tensor: Tensor): void {
    if (this.#floats.has(tensor)) return;
    const read = tensor.shape.length === 1 ? readVector : readTransposed;
    this.#floats.set(tensor, read(this.#kernels, this.#source.files, tensor));
  }

  get threads(): number {
    return this.#member.threads;
  }

  typeOf(weight: Tensor): DTypeName | undefined {
    return this.#matrices.get(weight)!.type;
  }

  slabs(weight: Tensor, tokens: number): readonly Rows[] {
    const [first, rows] = shareOfRows(this, rowCount(weight));
    if (rows === 0) return [];
    if (tokens <= FEW_TOKENS && this.#matrices.get(weight)!.lean) return [[first, rows]];
    return Array.from({ length: Math.ceil(rows / SLAB_ROWS) }, (_, i) => [
      first + i * SLAB_ROWS,
      Math.min(SLAB_ROWS, rows - i * SLAB_ROWS),
    ]);
  }

  multiply(
    kernels: Kernels,
    weight: Tensor,
    form: Form | "f32",
    x: number,
    [first, rows]: Rows,
    y: number,
    tokens: number,
    stride: number,
  ): void {
    const resident = this.#matrices.get(weight)!;
    const k = rowLength(weight);
    const at = resident.address + residentBytes(kernels, resident, weight, first - resident.first);
    if (resident.lean && tokens <= FEW_TOKENS) {
      multiplyLean(kernels, resident.type!, x, at, y, tokens, rows, k, stride);
    } else if (form === "f32") {
      const w = this.#panels(resident, at, rows, k);
      kernels.call("matmul_f32")(x, w, y, tokens, rows, k);
    } else {
      const w = kernels.reserve(packedSize(kernels, resident.type!, form, rows, k));
      expandLean(kernels, resident.type!, form, at, rows, k, w);
      multiplyInt8(kernels, x, w, y, tokens, stride);
    }
  }

  /** Rows as panels of f32. */
  #panels({ type, lean }: Resident, at: number, rows: number, k: number): number {
    const kernels = this.#kernels;
    const panels = kernels.reserve(Math.ceil(rows / 8) * 8 * k * 4);
    if (lean) {
      expandLean(kernels, type!, "f32", at, rows, k, panels);
      return panels;
    }
    let floats = at;
    if (type !== undefined) {
      floats = kernels.reserve(rows * k * 4);
      kernels.toF32(type, at, floats, rows * k);
    }
    kernels.call("pack_panels8")(floats, k * 4, rows, k, panels);
    return panels;
  }

  vector(_: Kernels, tensor: Tensor): number {
    return this.#floats.get(tensor)!;
  }

  transposed(_: Kernels, tensor: Tensor): number {
    return this.#floats.get(tensor)!;
  }

  lookUp(kernels: Kernels, table: Tensor, row: number, dst: number): void {
    const { files, types } = this.#source;
    const type = types.get(table.name) ?? table.dtype;
    readRowsF32(kernels, files, table, row, 1, dst);
    if (type === table.dtype) return;
    const width = rowLength(table);
    const mark = kernels.mark();
    const stored = kernels.reserve(rowBytes(table, type));
    quantizeChecked(kernels, table, type, { x: dst, firstRow: row, rows: 1, length: width }, stored);
    kernels.toF32(type, stored, dst, width);
    kernels.reset(mark);
  }

  share(units: number): Rows {
    return this.#member.share(units);
  }

  exchange(kernels: Kernels, tokens: number, parts: readonly Part[]): void {
    this.#member.exchange(kernels, tokens, parts);
  }
}

type Layout = Pick<Resident, "type" | "lean">;

/** How a matrix is kept. */
function layoutOf(kernels: Kernels, { activations, types }: Omit<Source, "files">, weight: Tensor): Layout {
  const stored = keepsStoredValues(weight) ? weight.dtype : undefined;
  const type = types.get(weight.name) ?? stored;
  if (type === undefined) return { type, lean: false };
  const isInt8 = activations === "int8" && int8Form(type, kernels.products) !== undefined;
  return { type, lean: isLean(type) && (isInt8 || FLOATS.has(type)) };
}

const FLOATS: ReadonlySet<DTypeName> = new Set(["F32", "F16", "BF16"]);

/** Bytes that `rows` rows of a matrix take. */
function residentBytes(kernels: Kernels, layout: Layout, weight: Tensor, rows: number): number {
  const { type, lean } = layout;
  return lean ? leanSize(kernels, type!, rows, rowLength(weight)) : rows * storedBytes(layout, weight);
}

function storedBytes({ type }: Layout, weight: Tensor): number {
  return rowBytes(weight, type ?? "F32");
}

/** Bytes that loadMatrix takes of a matrix with `rows` rows, without loading any. */
export function matrixBytes(
  kernels: Kernels,
  source: Omit<Source, "files">,
  weight: Tensor,
  rows: number,
): number {
  return residentBytes(kernels, layoutOf(kernels, source, weight), weight, rows);
}
