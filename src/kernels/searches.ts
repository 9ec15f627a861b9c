import { compareBytes } from "#host/bytes";
import { DTYPES, type DType, type DTypeName } from "../../formats/dtype.js";
import { haveRun, Kernels, type Searches } from "./kernels.js";
import { readModule } from "./modules.js";
import { whilePairing } from "./pairing.js";

// The searches for scales as a module of their own (assembly/searches.ts), twice as wide on engines that pair vectors. The
// engine may do it wrongly: a function is used only if it gives the very bytes of the kernels' own in its trial, so
// results never depend on it.

/** The types whose searches there are. */
export const SEARCHED: ReadonlySet<DTypeName> = new Set<DTypeName>(["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]);

/** Weights to round that are worth compiling the module for: its 30 ms are won back. */
const ENOUGH = 1 << 24;

let allowed = false;

/**
 * Lets this process compile the searches when they are worth it. For programs that run no WebAssembly but ours: of other code
 * that the engine compiles in that moment it might make wrong code.
 */
export function allowPairedSearches(): void {
  allowed = true;
}

let chosen: { readonly searches: Searches | undefined } | undefined;

/**
 * The searches that are exact on this engine, for so many weights of SEARCHED types; undefined where there are none, it is
 * not worth while or not allowed, or kernels may have run in this process, whose code the engine may be making better.
 */
export function chooseSearches(weights: number): Searches | undefined {
  if (chosen !== undefined) return chosen.searches;
  if (!allowed || weights < ENOUGH || haveRun()) return undefined;
  chosen = { searches: exactOf(pairedSearches()) };
  return chosen.searches;
}

/** The module where the engine pairs vectors: not tried yet. */
export function pairedSearches(): WebAssembly.Module | undefined {
  let module: WebAssembly.Module | undefined;
  whilePairing(() => {
    module = new WebAssembly.Module(readModule("searches")!);
  });
  return module;
}

function exactOf(module: WebAssembly.Module | undefined): Searches | undefined {
  if (module === undefined) return undefined;
  const kernels = new Kernels();
  const { exports } = new WebAssembly.Instance(module, { env: { memory: kernels.memory } });
  return { module, functions: exactFunctions(kernels, exports as Record<string, Search>) };
}

/** As the kernels export them. */
export type Search = (x: number, y: number, n: number, weights: number) => unknown;

/** Those of the functions that give the bytes of the kernels' own. */
export function exactFunctions(kernels: Kernels, functions: Readonly<Record<string, Search>>): string[] {
  return Object.keys(functions).filter((name) => {
    const type = typeOf(name);
    if (type === undefined) return false;
    const expected = tried(kernels, kernels.call(name), type).slice();
    return compareBytes(expected, tried(kernels, functions[name]!, type)) === 0;
  });
}

/** Of what type a function is. */
function typeOf(name: string): DType | undefined {
  const kernel = /^quantize_row_(.*?)(_weighted)?$/.exec(name)?.[1];
  return (DTYPES as readonly DType[]).find((type) => type.kernel === kernel);
}

/** Weights in a row: three super-blocks, so that pairs of them leave one. */
const ROW = 768;

/** What a function makes of the rows. */
function tried(kernels: Kernels, search: Search, { blockSize, typeSize }: DType): Uint8Array {
  kernels.reset();
  const rows = trialRows();
  const x = kernels.reserve(rows.byteLength);
  kernels.floats(x, rows.length).set(rows);
  const weights = kernels.reserve(ROW * 4);
  kernels.floats(weights, ROW).set(noise(ROW).map((value) => Math.abs(value) + 0.01));
  const size = (ROW / blockSize) * typeSize;
  const y = kernels.reserve((rows.length / ROW) * size);
  for (let i = 0; i < rows.length / ROW; i++) search(x + i * ROW * 4, y + i * size, ROW, weights);
  return kernels.bytes(y, (rows.length / ROW) * size);
}

/** Noise, the same as bf16 whose ties are many, outliers, steps of one size, and zeros, equals and tiny values in turns. */
function trialRows(): Float32Array {
  const any = noise(ROW);
  const bits = new Uint32Array(any.slice().buffer).map((each) => each & 0xffff0000);
  const kinds = [
    any,
    new Float32Array(bits.buffer),
    any.map((value, i) => (i % 23 === 0 ? value * 40 : value)),
    any.map((value) => Math.round(value * 8) / 8),
    any.map((value, i) => [0, 0.7, -0.7, value * 1e-20, value][(i >> 4) % 5]!),
  ];
  const rows = new Float32Array(kinds.length * ROW);
  for (const [i, row] of kinds.entries()) rows.set(row, i * ROW);
  return rows;
}

function noise(n: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: n }, () => {
    let sum = 0;
    for (let i = 0; i < 4; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      sum += state / 2 ** 31 - 1;
    }
    return sum;
  });
}
