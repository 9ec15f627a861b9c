import { byteLength, type DTypeName } from "../../formats/dtype.js";
import { compileKernels, Kernels } from "../../src/kernels/kernels.js";
import { type Fused, type Products, untriedFused, untriedProducts } from "../../src/kernels/products.js";
import {
  INT8_TYPES,
  int8Form,
  multiplyInt8,
  packWeights,
  quantizeActivations,
} from "../../src/net/products/int8.js";
import { chooseProducts } from "../../src/net/products/products.js";
import { Random } from "../support/random.js";
import { bestCpuOf, load, printTable } from "./measure.js";

/** The product of a chunk with a matrix of a 7B model, the matrix taken in slabs as the evaluator does. */
const TOKENS = 512;
const K = 4096;
const ROWS = 4096;
const SLAB = 64;
/** Timings in a row. */
const RUNS = 5;
/** How often all cases are gone through: whoever else is on the machine stays for a while. */
const ROUNDS = 4;

/** Speed of products in this thread, for every block type and module, quantizing and packing included. */
export function benchGemm(): void {
  const module = compileKernels();
  const chosen = chooseProducts("evaluation");
  const modules = [
    undefined,
    ...untriedProducts("evaluation").map((untried) => ({
      ...untried,
      wide: chosen?.dot === untried.dot && chosen.wide,
    })),
  ];
  const fused = untriedFused();
  const rounds = Array.from({ length: ROUNDS }, () => [
    ...modules.map((products) => speeds(new Kernels(module, products), TYPES)),
    ...(fused === undefined ? [] : [speeds(new Kernels(module, undefined, undefined, fused), [undefined])]),
  ]);
  const columns = rounds.reduce((best, round) =>
    best.map((column, m) => column.map((speed, i) => Math.max(speed, round[m]![i]!))),
  );
  const ofFused = columns.splice(modules.length);
  const rows = TYPES.map((type, i) => [
    type ?? "F32",
    ...columns.map((column) => column[i]!.toFixed(1)),
    ...ofFused.map(([speed]) => (type === undefined ? speed!.toFixed(1) : "")),
  ]);
  console.log(
    `\nproducts of ${TOKENS} × ${K} activations with ${ROWS} rows, one thread, 10^9 multiply-adds per second of processor time, ${load()}`,
  );
  printTable(["type", ...modules.map(nameOf), ...(fused === undefined ? [] : [nameOf(fused)])], rows);
  console.log(`the evaluator takes ${nameOf(chosen)} here`);
}

/** undefined stands for f32. */
const TYPES = [...INT8_TYPES.map(({ name }) => name), undefined];

/** undefined stands for the kernels' own. */
function nameOf(products: Products | Fused | undefined): string {
  const dot = products === undefined ? "plain" : "dot" in products ? products.dot : "fused";
  return `${dot}, ${products?.bits ?? 128} bits`;
}

function speeds(kernels: Kernels, types: readonly (DTypeName | undefined)[]): number[] {
  const random = new Random(1);
  const x = kernels.reserve(TOKENS * K * 4);
  kernels.floats(x, TOKENS * K).set(random.floats(TOKENS * K));
  const mark = kernels.mark();
  return types.map((type) => {
    kernels.reset(mark);
    const { quantize, pack, multiply } =
      type === undefined ? floatProduct(kernels, x) : int8Product(kernels, type, x);
    // The least of many short timings each: on a busy machine a long one is never undisturbed.
    const seconds =
      bestCpuOf(RUNS, quantize) + (ROWS / SLAB) * (bestCpuOf(RUNS, pack) + bestCpuOf(RUNS, multiply));
    return (TOKENS * K * ROWS) / seconds / 1e9;
  });
}

/** The parts of a product; the last two are for one slab. */
interface Product {
  readonly quantize: () => void;
  readonly pack: () => void;
  readonly multiply: () => void;
}

function int8Product(kernels: Kernels, type: DTypeName, x: number): Product {
  const form = int8Form(type, kernels.products)!;
  const weights = kernels.reserve(byteLength(type, [SLAB, K]));
  kernels.fromF32(type, x, weights, SLAB * K);
  const y = kernels.reserve(TOKENS * SLAB * 4);
  const activations = quantizeActivations(kernels, form, x, TOKENS, K);
  const packed = packWeights(kernels, type, form, weights, SLAB, K);
  const again = (work: () => void) => () => {
    const mark = kernels.mark();
    work();
    kernels.reset(mark);
  };
  return {
    quantize: again(() => quantizeActivations(kernels, form, x, TOKENS, K)),
    pack: again(() => packWeights(kernels, type, form, weights, SLAB, K)),
    multiply: () => multiplyInt8(kernels, activations, packed, y, TOKENS, SLAB * 4),
  };
}

function floatProduct(kernels: Kernels, x: number): Product {
  const activations = kernels.reserve(TOKENS * K * 4);
  const packed = kernels.reserve(SLAB * K * 4);
  const y = kernels.reserve(TOKENS * SLAB * 4);
  return {
    quantize: () => kernels.call("pack_blocks4")(x, K * 4, TOKENS, K, activations),
    pack: () => kernels.call("pack_panels8")(x, K * 4, SLAB, K, packed),
    multiply: () => kernels.call("matmul_f32")(activations, packed, y, TOKENS, SLAB, K),
  };
}
