import { rowLength } from "../../tensor.js";
import type { MlpPlan } from "../plan/types.js";
import { exchange, multiply, multiplySlab, packInput, slabMemory } from "../products/matmul.js";
import type { Work } from "../work.js";

/** What goes into `down`, [tokens][width]: act(gate(n)) × up(n), or act(up(n)). The memory is the caller's to give back. */
export function mlpHidden(work: Work, mlp: MlpPlan, n: number, tokens: number): number {
  const { kernels } = work;
  const { gate, up, down, activation } = mlp;
  const { kind, parameters } =
    typeof activation === "string" ? { kind: activation, parameters: [] } : activation;
  const width = rowLength(down.weight);
  const h = kernels.reserve(tokens * width * 4);
  const start = kernels.mark();
  const input = packInput(work, n, tokens, gate === undefined ? [up] : [gate, up]);
  if (gate !== undefined && mlp.sparsity !== undefined) {
    const gates = kernels.reserve(tokens * width * 4);
    multiply(work, gate, input, gates, "copy_columns");
    multiply(work, up, input, h, "copy_columns");
    exchange(work, tokens, [gate, gates], [up, h]);
    for (let token = 0; token < tokens; token++) {
      cutGates(kernels.floats(gates + token * width * 4, width), mlp.sparsity);
    }
    kernels.call(`${kind}_mul`)(gates, h, h, tokens * width, ...parameters);
    kernels.reset(start);
    return h;
  }
  const mark = kernels.mark();
  for (const [first, rows] of work.weights.slabs(up.weight, tokens)) {
    const slab = multiplySlab(work, up, input, first, rows);
    const floats = (tokens * slab.stride) / 4;
    if (gate === undefined) kernels.call(kind)(slab.y, slab.y, floats, ...parameters);
    else {
      const gates = multiplySlab(work, gate, input, first, rows);
      kernels.call(`${kind}_mul`)(gates.y, slab.y, slab.y, floats, ...parameters);
    }
    kernels.call("copy_columns")(slab.y, slab.stride, h + first * 4, width * 4, tokens, rows);
    kernels.reset(mark);
  }
  exchange(work, tokens, [up, h]);
  kernels.reset(start);
  return h;
}

/** What a token's gates are beyond their mean and so many of their standard deviations; 0 where they are not. */
function cutGates(gates: Float32Array, sparsity: number): void {
  let [sum, squares] = [0, 0];
  for (const gate of gates) sum += gate;
  const mean = sum / gates.length;
  for (const gate of gates) squares += (gate - mean) ** 2;
  const cut = mean + sparsity * Math.sqrt(squares / gates.length);
  for (let i = 0; i < gates.length; i++) gates[i] = Math.max(0, gates[i]! - cut);
}

/** Bytes of kernel memory that an MLP of `tokens` takes beside its input and its output. */
export function mlpMemory({ down, up, sparsity }: MlpPlan, tokens: number): number {
  const products = slabMemory(down.weight, tokens) + slabMemory(up.weight, tokens);
  const rows = sparsity === undefined ? 2 : 3;
  return 4 * tokens * (rows * rowLength(down.weight) + rowLength(up.weight)) + products;
}
