import { LLAMA_LOG_PROB_FLOOR, LLAMA_ROW_HEAD, llamaRowBytes } from "../../../formats/llama-logits.js";
import type { Kernels } from "../../kernels/kernels.js";
import { type Head, headMemory, openHead, type Positions } from "../../net/head.js";
import type { Slab } from "../../net/products/matmul.js";
import { MAX_SLAB_ROWS } from "../../net/products/streamed.js";
import type { Span } from "../../net/span.js";
import type { Tensor } from "../../tensor.js";
import { compareTop } from "./base-top.js";
import { type BaselineFile, readFullRecord, readLlamaRows } from "./baseline-record.js";
import type { Comparison, Targets } from "./comparison.js";
import { sameTops, startTops, TOP_SIZE } from "./tops.js";

/** Where the distributions come from that a model's are compared with. Plain data. */
export type Base = ModelBase | BaselineFile;

/** Another model, whose hidden states stand after its last block. */
export interface ModelBase {
  readonly form: "model";
  readonly head: Head;
  readonly span: Span;
}

export function openBase(kernels: Kernels, base: Base, positions: Positions, targets: Targets): Comparison {
  const { count } = positions;
  if (base.form === "top") return compareTop(kernels, base, count, targets);
  return compareDense(kernels, openDense(kernels, base, positions), targets);
}

/** Bytes of memory that a comparison takes for so many chunks. */
export function baseMemory(base: Base | undefined, output: Tensor, chunks: number, scored: number): number {
  if (base === undefined) return 0;
  const tokens = chunks * scored;
  if (base.form === "model") return headMemory(base.head.output, tokens) + tokens * RUNNING_BYTES;
  const records = Math.max(...base.records.map(({ byteLength }) => byteLength));
  return chunks * records + tokens * (RUNNING_BYTES + 6 * Math.min(output.shape[0]!, MAX_SLAB_ROWS));
}

/** Bases of which every logit is known. */
interface DenseBase {
  /** The base's logits; the memory is the caller's to give back. */
  readonly slab: (first: number, rows: number) => Pick<Slab, "y" | "stride">;
  /** Logits up to this one are left out of the sums. */
  readonly floor: number;
  /** The logits are logarithms of probabilities as they stand, and are not scaled to a sum of 1 again. */
  readonly normalized: boolean;
}

/** Bytes of a token's running divergence: m f32, the target's b f32, W f64, D f64 (assembly/ops/divergence.ts). */
const DIVERGENCE_SIZE = 24;
const RUNNING_BYTES = DIVERGENCE_SIZE + 2 * TOP_SIZE;

function compareDense(kernels: Kernels, base: DenseBase, { ids, values }: Targets): Comparison {
  const tokens = values.length;
  const divergences = kernels.reserve(tokens * DIVERGENCE_SIZE);
  kernels.call("start_divergences")(divergences, tokens);
  const own = startTops(kernels, tokens);
  const others = startTops(kernels, tokens);
  return {
    add(slab) {
      const { y, stride, first, rows } = slab;
      const b = base.slab(first, rows);
      const { floor } = base;
      kernels.call("add_divergences")(divergences, b.y, b.stride, y, stride, ids, tokens, first, rows, floor);
      own.add(slab);
      others.add({ ...b, first, rows });
    },
    result({ logSum }) {
      const view = new DataView(kernels.memory.buffer, divergences, tokens * DIVERGENCE_SIZE);
      const nll = new Float64Array(tokens);
      const kld = new Float64Array(tokens);
      for (let i = 0; i < tokens; i++) {
        const at = i * DIVERGENCE_SIZE;
        const [greatest, target] = [view.getFloat32(at, true), view.getFloat32(at + 4, true)];
        const [weight, product] = [view.getFloat64(at + 8, true), view.getFloat64(at + 16, true)];
        const baseLogSum = base.normalized ? 0 : greatest + Math.log(weight);
        nll[i] = baseLogSum - target;
        kld[i] = base.normalized
          ? Math.exp(greatest) * (product + weight * logSum[i]!)
          : product / weight - baseLogSum + logSum[i]!;
      }
      return { nll, kld, sameTop: sameTops(own.read(), others.read()) };
    },
  };
}

function openDense(
  kernels: Kernels,
  base: ModelBase | Exclude<BaselineFile, { form: "top" }>,
  positions: Positions,
): DenseBase {
  if (base.form === "model") {
    const slab = openHead(kernels, base.head, { ...positions, span: base.span });
    return { slab, floor: Number.NEGATIVE_INFINITY, normalized: false };
  }
  return base.form === "full"
    ? openHalves(kernels, base, positions.count)
    : openCodes(kernels, base, positions.count);
}

/** Logits in f16, as a baseline file of ours has them. */
function openHalves(
  kernels: Kernels,
  base: Extract<BaselineFile, { form: "full" }>,
  scored: number,
): DenseBase {
  const { vocabSize } = base;
  const chunks = base.records.map((_, i) => readFullRecord(base, i, scored).logits);
  const tokens = chunks.length * scored;
  const slab = (first: number, rows: number) => {
    const y = kernels.reserve(tokens * rows * 4);
    const mark = kernels.mark();
    const halves = kernels.reserve(tokens * rows * 2);
    const target = kernels.bytes(halves, tokens * rows * 2);
    for (let token = 0; token < tokens; token++) {
      const from = 2 * ((token % scored) * vocabSize + first);
      target.set(chunks[Math.floor(token / scored)]!.subarray(from, from + 2 * rows), token * rows * 2);
    }
    kernels.toF32("F16", halves, y, tokens * rows);
    kernels.reset(mark);
    return { y, stride: rows * 4 };
  };
  return { slab, floor: Number.NEGATIVE_INFINITY, normalized: false };
}

/** Log-probabilities in u16 codes, as llama-perplexity writes them, and with its arithmetic. */
function openCodes(
  kernels: Kernels,
  base: Extract<BaselineFile, { form: "codes" }>,
  scored: number,
): DenseBase {
  const rowBytes = llamaRowBytes(base.vocabSize);
  const rowsOfAll = base.records.flatMap((_, i) => {
    const bytes = readLlamaRows(base, i);
    return Array.from({ length: scored }, (_, row) => bytes.subarray(row * rowBytes, (row + 1) * rowBytes));
  });
  const heads = rowsOfAll.map((row) => {
    const view = new DataView(row.buffer, row.byteOffset, LLAMA_ROW_HEAD);
    return { scale: view.getFloat32(0, true), minimum: view.getFloat32(4, true) };
  });
  const slab = (first: number, rows: number) => {
    const y = kernels.reserve(rowsOfAll.length * rows * 4);
    const mark = kernels.mark();
    const codes = kernels.reserve(rows * 2);
    for (const [token, row] of rowsOfAll.entries()) {
      const from = LLAMA_ROW_HEAD + 2 * first;
      kernels.bytes(codes, rows * 2).set(row.subarray(from, from + 2 * rows));
      const { scale, minimum } = heads[token]!;
      kernels.call("dequantize_log_probs")(codes, y + token * rows * 4, rows, scale, minimum);
    }
    kernels.reset(mark);
    return { y, stride: rows * 4 };
  };
  return { slab, floor: LLAMA_LOG_PROB_FLOOR, normalized: true };
}
