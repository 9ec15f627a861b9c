import { compileKernels, Kernels } from "../../../src/kernels/kernels.js";
import { KvCache, kvBytes } from "../../../src/net/mixers/state/kv-cache.js";
import { chooseProducts } from "../../../src/net/products/products.js";
import type { KvType } from "../../../src/quant/fit/memory.js";
import { Random } from "../../support/random.js";
import { bestCpuOf, load, printTable } from "../measure.js";

/** A layer of a model of 8B, far into its context. */
const SHAPE = { heads: 8, keyLength: 128, valueLength: 128, capacity: 4096, window: 0, batch: 512 };
const RUNS = 15;
const PROMPT = 128;

/** Attention of one token, and of a piece of a prompt, to a full cache in this thread. */
export function benchCache(): void {
  const products = chooseProducts("generation");
  const kernels = [new Kernels(compileKernels()), new Kernels(compileKernels(), products)];
  const rows = (["f32", "f16", "bf16", "q8_0", "q4_0"] as const).flatMap((type) =>
    [1, 4].map((group) => {
      const speeds = kernels.flatMap((each) => {
        const { bytes, one, prompt } = seconds(each, type, group);
        const products = SHAPE.heads * group * PROMPT * (SHAPE.capacity - PROMPT / 2) * 256;
        return [(bytes / one / 1e9).toFixed(2), (one * 1e3).toFixed(2), (products / prompt / 1e9).toFixed(1)];
      });
      return [type, String(group), ...speeds];
    }),
  );
  const head = ["GB/s", "ms", `prompt, 10^9/s`];
  console.log(
    `\nattention to ${SHAPE.capacity} tokens of ${SHAPE.heads} heads × ${SHAPE.keyLength}, one thread, per second of processor time, ${load()}`,
  );
  const bits = `${products?.bits ?? 128} bits`;
  printTable(["type", "group", ...head, ...head.map((name) => `${name}, ${bits}`)], rows);
}

function seconds(
  kernels: Kernels,
  type: KvType,
  group: number,
): { bytes: number; one: number; prompt: number } {
  kernels.reset();
  const shape = { ...SHAPE, type };
  const cache = new KvCache(kernels, shape);
  const [width, wide] = [shape.heads * shape.keyLength, shape.heads * shape.keyLength * group];
  const noise = new Random(1).floats(PROMPT * wide);
  const x = kernels.reserve(noise.byteLength);
  kernels.floats(x, noise.length).set(noise);
  const o = kernels.reserve(noise.byteLength);
  while (cache.length < shape.capacity) cache.append(x, width * 4, x, width * 4, PROMPT);
  const queries = { q: x, qStride: wide * 4, o, oStride: wide * 4 };
  const attend = (count: number) => () => cache.attend(queries, count, { group, scale: 0.1 });
  return { bytes: kvBytes(shape), one: bestCpuOf(RUNS, attend(1)), prompt: bestCpuOf(3, attend(PROMPT)) };
}
