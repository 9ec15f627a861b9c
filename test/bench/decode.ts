import type { DTypeName } from "../../formats/dtype.js";
import { int8Form, quantizeActivations } from "../../src/eval/int8.js";
import { leanSize, multiplyLean } from "../../src/eval/lean.js";
import { chooseProducts } from "../../src/eval/products.js";
import { compileKernels, Kernels } from "../../src/run/kernels.js";
import { type Products, pairVectors, untriedProducts } from "../../src/run/products.js";

pairVectors();
const TYPES = (process.argv[2] ?? "Q4_0,Q8_0,Q4_K,Q6_K").split(",") as DTypeName[];
const TOK = (process.argv[3] ?? "1,2,4,8").split(",").map(Number);
const which = process.argv[4] ?? "best";
const K = Number(process.argv[5] ?? 4096);
const BYTES = Number(process.argv[6] ?? 256) << 20;
const compiled = compileKernels();
const chosen = chooseProducts();
const mods: (Products | undefined)[] =
  which === "best"
    ? [chosen]
    : [undefined, ...untriedProducts().map((u) => ({ ...u, wide: chosen?.dot === u.dot && chosen.wide }))];
for (const products of mods) {
  const kernels = new Kernels(compiled, products);
  const floats = kernels.reserve(8 * K * 4);
  kernels.floats(floats, 8 * K).set(Float32Array.from({ length: 8 * K }, () => Math.random() - 0.5));
  const w = kernels.reserve(BYTES + 65536);
  kernels.bytes(w, BYTES).fill(0x11);
  const mark = kernels.mark();
  for (const type of TYPES) {
    const form = int8Form(type, products)!;
    const panel = leanSize(kernels, type, 8, K);
    const rows = Math.floor(BYTES / panel) * 8;
    const line = TOK.map((tokens) => {
      kernels.reset(mark);
      const x = quantizeActivations(kernels, form, floats, tokens, K);
      const y = kernels.reserve(rows * 4 * tokens);
      let best = Infinity;
      const reps = Math.max(1, Math.round(64 / (BYTES >> 20)));
      for (let i = 0; i < 9; i++) {
        const c0 = process.cpuUsage();
        // as an evaluator would: slabs
        for (let q = 0; q < reps; q++)
          for (let r = 0; r < rows; r += 256) {
            const n = Math.min(256, rows - r);
            multiplyLean(kernels, type, x, w + (r / 8) * panel, y + r * 4, tokens, n, K, rows * 4);
          }
        const c = process.cpuUsage(c0);
        if (i > 1) best = Math.min(best, (c.user + c.system) / 1000);
      }
      return `${tokens}: ${((reps * (rows / 8) * panel) / best / 1e6).toFixed(1)} GB/s`;
    });
    console.log(
      products ? `${products.dot} ${products.bits} ${products.wide}` : "kernels",
      type,
      line.join("  "),
    );
  }
}
