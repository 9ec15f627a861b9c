import { DTYPES, type DType, type DTypeName } from "../../formats/dtype.js";
import { Kernels } from "../../src/run/kernels.js";
import { formatTable } from "../../src/ui.js";
import { bestOf } from "./measure.js";

/** Weights in a row of the benchmark, and in all: 16 MiB as f32, so that nothing stays in a cache. */
const ROW = 4096;
const COUNT = 1 << 22;

/** Every block type's speed in this thread, in millions of weights a second. */
export function benchKernels(): void {
  const kernels = new Kernels();
  const x = kernels.reserve(COUNT * 4);
  const y = kernels.reserve(COUNT * 4);
  const weights = kernels.reserve(ROW * 4);
  fillNormal(kernels.floats(x, COUNT));
  kernels.floats(weights, ROW).fill(1);
  const rows = (DTYPES as readonly DType[])
    .filter((type) => type.kernels !== "read")
    .map((type) => benchType(kernels, type, x, y, weights));
  console.log("\nkernels, one thread, millions of weights a second (best of several runs)");
  console.log(formatTable(["type", "quantize", "with imatrix", "dequantize"], rows));
}

function benchType(kernels: Kernels, type: DType, x: number, y: number, weights: number): string[] {
  const name = type.name as DTypeName;
  const count = ["Q8_0", "Q4_0", "F16", "BF16", "F32"].includes(name) ? COUNT : COUNT / 8;
  const speed = (seconds: number) => (count / seconds / 1e6).toFixed(0);
  const quantize = bestOf(5, () => kernels.fromF32(name, x, y, count));
  const weighted =
    type.kernels === "weighted"
      ? speed(
          bestOf(3, () => {
            for (let i = 0; i < count; i += ROW) kernels.fromF32(name, x + i * 4, y, ROW, weights);
          }),
        )
      : "-";
  kernels.fromF32(name, x, y, count);
  const back = kernels.reserve(count * 4);
  const dequantize = bestOf(5, () => kernels.toF32(name, y, back, count));
  kernels.reset(back);
  return [name, speed(quantize), weighted, speed(dequantize)];
}

/** N(0, 0.02) by the polar method from a fixed seed: what weights of a trained model look like. */
function fillNormal(values: Float32Array): void {
  let state = 20261121;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  for (let i = 0; i < values.length; ) {
    const [u, v] = [uniform(), uniform()];
    const s = u * u + v * v;
    if (s >= 1 || s === 0) continue;
    const factor = 0.02 * Math.sqrt((-2 * Math.log(s)) / s);
    values[i++] = u * factor;
    if (i < values.length) values[i++] = v * factor;
  }
}
