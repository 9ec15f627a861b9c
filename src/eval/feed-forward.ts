import { rowLength } from "../tensor.js";
import { addProduct, normed, piecesOf, type Work } from "./block.js";
import { multiplySlab, packInput, slabsOf } from "./matmul.js";

/** x += down(act(gate(n)) × up(n)), or down(act(up(n))) without a gate, with n = norm(from). */
export function addFeedForward(work: Work, from: number, x: number): void {
  const { kernels, span } = work;
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(span)) {
    const at = first * span.width * 4;
    feedPiece(work, from + at, x + at, count);
    kernels.reset(mark);
  }
}

function feedPiece(work: Work, from: number, x: number, tokens: number): void {
  const { kernels, layer, traits } = work;
  const { norm, gate, up, down, postNorm } = layer.feedForward;
  const width = rowLength(down.weight);
  const h = kernels.reserve(tokens * width * 4);
  const matrices = gate === undefined ? [up] : [gate, up];
  const input = packInput(work, normed(work, norm, from, tokens, "ffn_norm"), tokens, matrices);
  const mark = kernels.mark();
  for (const [first, rows] of slabsOf(up.weight)) {
    const slab = multiplySlab(work, up, input, first, rows);
    const floats = (tokens * slab.stride) / 4;
    if (gate === undefined) kernels.call(traits.activation)(slab.y, slab.y, floats);
    else {
      const gates = multiplySlab(work, gate, input, first, rows);
      kernels.call(`${traits.activation}_mul`)(gates.y, slab.y, slab.y, floats);
    }
    kernels.call("copy_columns")(slab.y, slab.stride, h + first * 4, width * 4, tokens, rows);
    kernels.reset(mark);
  }
  work.squares?.add("ffn_down", h, tokens, width);
  addProduct(work, down, postNorm, h, x, tokens);
}
