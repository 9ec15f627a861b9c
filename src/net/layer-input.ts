import { rowCount, rowLength } from "../tensor.js";
import { lookUpColumns, lookUpTokens } from "./embed.js";
import { normalize } from "./norm.js";
import type { DecoderPlan, LayerInputPlan } from "./plan/types.js";
import { exchange, multiply, packInput, slabMemory } from "./products/matmul.js";
import { addProduct, piecesOf, type Work } from "./work.js";

// What a layer knows of a token itself, beside what the layers before it say: a part of a row of its own table, and a
// product with the token's embedding. It is computed where it is needed: kept, it would take more than the hidden states.

/** x += postNorm(projection(act(gate(from)) × p)), where p is of token and layer alone. */
export function addLayerInput(work: Work, plan: LayerInputPlan, from: number, x: number): void {
  const { kernels, batch } = work;
  const { gate, activation, projection, postNorm } = plan;
  const width = rowCount(gate.weight);
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const at = first * batch.width * 4;
    const own = inputOf(work, plan, first, count);
    work.squares?.add("layer_input", from + at, count, batch.width);
    const gates = kernels.reserve(count * width * 4);
    multiply(work, gate, packInput(work, from + at, count, [gate]), gates, "copy_columns");
    exchange(work, count, [gate, gates]);
    kernels.call(`${activation}_mul`)(gates, own, gates, count * width);
    work.squares?.add("layer_projection", gates, count, width);
    addProduct(work, projection, postNorm, gates, x + at, count);
    kernels.reset(mark);
  }
}

/** p = (norm(W · e / √width) + √n × row's part) / √2 of `count` tokens, [count][n]. The memory is the caller's to give back. */
function inputOf(work: Work, plan: LayerInputPlan, first: number, count: number): number {
  const { kernels, weights, batch } = work;
  const { table, embedding } = work.inputs!;
  const { model, norm, columns } = plan;
  const [, n] = columns;
  const tokens = batch.tokens!.subarray(first, first + count);
  const p = kernels.reserve(count * n * 4);
  const mark = kernels.mark();
  const e = kernels.reserve(count * batch.width * 4);
  lookUpTokens(kernels, weights, embedding, tokens, e);
  multiply(work, model, packInput(work, e, count, [model]), p, "copy_columns");
  exchange(work, count, [model, p]);
  kernels.call("scale")(p, count * n, 1 / Math.sqrt(batch.width));
  normalize(work, norm, p, p, count);
  kernels.reset(mark);
  const rows = kernels.reserve(count * n * 4);
  lookUpColumns(kernels, weights, table, columns, tokens, rows);
  kernels.call("add_scaled")(rows, Math.sqrt(n), p, count * n);
  kernels.call("scale")(p, count * n, Math.SQRT1_2);
  kernels.reset(mark);
  return p;
}

/** Bytes of kernel memory beside the hidden states, for `piece` tokens at once. */
export function layerInputMemory(
  { gate, model, projection, columns: [, n] }: LayerInputPlan,
  { layerInputs }: Pick<DecoderPlan, "layerInputs">,
  width: number,
  piece: number,
): number {
  const products = [gate, model, projection].map(({ weight }) => slabMemory(weight, piece));
  const floats = piece * (3 * width + 4 * n) + rowLength(layerInputs!.table);
  return 4 * floats + Math.max(...products);
}
