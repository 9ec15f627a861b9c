import { byteLength, DTYPES, type DType, type DTypeName } from "../../formats/dtype.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { load, printTable } from "./measure.js";

/** Weights in a row of the benchmark, and in all: 16 MiB as f32, so that nothing stays in a core's own cache. */
const ROW = 4096;
const COUNT = 1 << 22;
/** Weights in a timing: few, so that on a busy machine some timings are undisturbed. */
const PIECE = 1 << 16;
/** Milliseconds for one figure. */
const TIME = 500;

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
  console.log(`\nkernels, one thread, millions of weights a second (best of many short runs), ${load()}`);
  printTable(["type", "quantize", "with imatrix", "dequantize"], rows);
}

function benchType(kernels: Kernels, type: DType, x: number, y: number, weights: number): string[] {
  const name = type.name as DTypeName;
  const size = byteLength(name, [PIECE]);
  const quantize = speed((piece) => kernels.fromF32(name, x + piece * PIECE * 4, y + piece * size, PIECE));
  const weighted = speed((piece) => {
    const [from, to] = [x + piece * PIECE * 4, y + piece * size];
    for (let i = 0; i < PIECE; i += ROW) {
      kernels.fromF32(name, from + i * 4, to + byteLength(name, [i]), ROW, weights);
    }
  });
  kernels.fromF32(name, x, y, COUNT);
  const back = kernels.reserve(COUNT * 4);
  const dequantize = speed((piece) => kernels.toF32(name, y + piece * size, back + piece * PIECE * 4, PIECE));
  kernels.reset(back);
  return [name, quantize, type.kernels === "weighted" ? weighted : "-", dequantize];
}

/** The best speed over the pieces, in millions of weights a second. */
function speed(work: (piece: number) => void): string {
  let best = Number.POSITIVE_INFINITY;
  const end = performance.now() + TIME;
  for (let piece = 0; performance.now() < end; piece = (piece + 1) % (COUNT / PIECE)) {
    const started = performance.now();
    work(piece);
    best = Math.min(best, performance.now() - started);
  }
  return (PIECE / best / 1e3).toFixed(0);
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
