import { rowLength } from "../../tensor.js";
import type { Work } from "../block.js";
import type { MlpPlan } from "../plan/decoder.js";
import { multiplySlab, packInput, slabMemory, slabsOf } from "../products/matmul.js";

/** What goes into `down`, [tokens][width]: act(gate(n)) × up(n), or act(up(n)). The memory is the caller's to give back. */
export function mlpHidden(work: Work, { gate, up, down }: MlpPlan, n: number, tokens: number): number {
  const { kernels, traits } = work;
  const width = rowLength(down.weight);
  const h = kernels.reserve(tokens * width * 4);
  const start = kernels.mark();
  const input = packInput(work, n, tokens, gate === undefined ? [up] : [gate, up]);
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
  kernels.reset(start);
  return h;
}

/** Bytes of kernel memory that an MLP of `tokens` takes beside its input and its output. */
export function mlpMemory({ down, up }: MlpPlan, tokens: number): number {
  const products = slabMemory(down.weight, tokens) + slabMemory(up.weight, tokens);
  return 4 * tokens * (2 * rowLength(down.weight) + rowLength(up.weight)) + products;
}
