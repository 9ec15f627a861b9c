import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setFlagsFromString } from "node:v8";
import { byteLength, type DTypeName } from "../../formats/dtype.js";
import { compileKernels, Kernels, type RelaxedModule } from "../run/kernels.js";
import { int8Form, multiplyInt8, packWeights, quantizeActivations } from "./int8.js";

// Which module multiplies, decided by trying them. Relaxed SIMD is fast because what its instructions give for some
// operands is left to the machine: a module is taken only if it gives the plain kernels' very bits, and only if it is
// the faster one here. So results never depend on the choice.

type Dot = RelaxedModule["dot"];

/** Earlier than this the i32 product is not even tried: V8 compiled it wrongly until it came to optimize it. */
const I32_SINCE = 24;
/** This one has relaxed SIMD behind a flag. */
const FLAGGED = 20;
/** Long enough that the engine comes to optimize the code; what it ran before must have been right too. */
const TRIAL_MS = 120;

let chosen: { readonly relaxed: RelaxedModule | undefined } | undefined;

/** The fastest module that is exact on this engine; undefined if that is the plain one. Takes a moment once. */
export function chooseRelaxed(): RelaxedModule | undefined {
  chosen ??= { relaxed: choose() };
  return chosen.relaxed;
}

function choose(): RelaxedModule | undefined {
  const kernels = compileKernels();
  const contenders = [new Contender(kernels)];
  for (const dot of usableDots()) {
    const module = compileRelaxed(dot);
    if (module !== undefined) contenders.push(new Contender(kernels, { module, dot, wide: true }));
  }
  for (const end = performance.now() + TRIAL_MS; performance.now() < end; ) {
    for (const contender of contenders) contender.run();
  }
  return contenders.reduce((a, b) => (b.time < a.time ? b : a)).relaxed;
}

/** The relaxed products that this version of the engine may be trusted with. */
export function usableDots(): readonly Dot[] {
  return nodeMajor() >= I32_SINCE ? ["i16", "i32"] : ["i16"];
}

/** undefined where the engine has no relaxed SIMD. */
export function compileRelaxed(dot: Dot): WebAssembly.Module | undefined {
  const bytes = readFileSync(createRequire(import.meta.url).resolve(`#relaxed-${dot}`));
  if (nodeMajor() === FLAGGED) setFlagsFromString("--experimental-wasm-relaxed-simd");
  return WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : undefined;
}

function nodeMajor(): number {
  return Number.parseInt(process.versions.node, 10);
}

/** One type for each layout of weights; the last has quants above 127. */
const TYPES = ["Q4_K", "Q6_K", "Q4_0", "Q8_0"] as const satisfies readonly DTypeName[];
const SIZE = { tokens: 32, rows: 32, k: 512 };

interface Product {
  readonly type: DTypeName;
  readonly multiply: () => void;
  readonly isRight: () => boolean;
}

/** A module on trial. */
class Contender {
  readonly #relaxed: RelaxedModule | undefined;
  readonly #products: readonly Product[];
  readonly #wrong = new Set<DTypeName>();
  #fastest = Number.POSITIVE_INFINITY;

  constructor(module: WebAssembly.Module, relaxed?: RelaxedModule) {
    const kernels = new Kernels(module, relaxed);
    this.#relaxed = relaxed;
    this.#products = TYPES.map((type) => prepareProduct(kernels, type));
  }

  /** Multiplies once for each type. */
  run(): void {
    for (const { type, multiply, isRight } of this.#products) {
      const started = performance.now();
      multiply();
      if (type === "Q4_K") this.#fastest = Math.min(this.#fastest, performance.now() - started);
      if (!isRight()) this.#wrong.add(type);
    }
  }

  /** Of the fastest product so far, in milliseconds; of a module that was wrong, infinite. */
  get time(): number {
    const narrow = TYPES.filter((type) => type !== "Q8_0");
    return narrow.some((type) => this.#wrong.has(type)) ? Number.POSITIVE_INFINITY : this.#fastest;
  }

  get relaxed(): RelaxedModule | undefined {
    return this.#relaxed && { ...this.#relaxed, wide: !this.#wrong.has("Q8_0") };
  }
}

function prepareProduct(kernels: Kernels, type: DTypeName): Product {
  const { tokens, rows, k } = SIZE;
  const floats = kernels.reserve(tokens * k * 4);
  kernels.floats(floats, tokens * k).set(extremes(tokens, k));
  const weights = kernels.reserve(byteLength(type, [rows, k]));
  kernels.fromF32(type, floats, weights, rows * k);
  const product = (relaxed: RelaxedModule | undefined) => {
    const form = int8Form(type, relaxed)!;
    const x = quantizeActivations(kernels, form, floats, tokens, k);
    const w = packWeights(kernels, type, form, weights, rows, k);
    const y = kernels.reserve(tokens * rows * 4);
    const multiply = () => multiplyInt8(kernels, form, x, w, y, tokens, rows * 4);
    const result = () => kernels.bytes(y, tokens * rows * 4);
    return { multiply, result };
  };
  const plain = product(undefined);
  plain.multiply();
  const expected = Buffer.from(plain.result());
  const { multiply, result } = product(kernels.relaxed);
  return { type, multiply, isRight: () => expected.equals(result()) };
}

/** Rows whose quants are all at one end of their range, or in turns at both, and rows of noise. */
function extremes(rows: number, length: number): Float32Array {
  let state = 1;
  const noise = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const patterns = [() => 1, () => -1, (i: number) => (i % 2 === 0 ? 1 : -1), noise];
  return Float32Array.from({ length: rows * length }, (_, at) => {
    const [row, i] = [Math.floor(at / length), at % length];
    return patterns[row % patterns.length]!(i);
  });
}
