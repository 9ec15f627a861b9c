import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setFlagsFromString } from "node:v8";

// The modules of products (assembly/products.ts). None is to be used before it has been tried
// (src/net/products/products.ts).

/** The dot product a module is compiled for. */
export type Dot = "plain" | "i16" | "i32";

export interface UntriedProducts {
  readonly module: WebAssembly.Module;
  readonly dot: Dot;
  /** Of the registers it uses. */
  readonly bits: 128 | 256;
}

/** A module of products that works here. Plain data. */
export interface Products extends UntriedProducts {
  /** Whether the dot product is exact for quants above 127. */
  readonly wide: boolean;
}

const NODE = Number.parseInt(process.versions.node, 10);
/** Has relaxed SIMD behind a flag. */
const FLAGGED = 20;
/** Earlier the i32 product is not even tried: V8 compiled it wrongly until it came to optimize it. */
const I32_SINCE = 24;

/**
 * The versions of V8, those of Node 24 and 26, that can work on two vectors at once, on x64, and what keeps them from
 * optimizing code when they compile it. Inlining does, as it needs counts of calls. Other versions may end the process
 * when they are told to.
 */
const PAIRING: ReadonlyMap<string, readonly string[]> = new Map([
  ["13.6", ["liftoff", "wasm-lazy-compilation", "wasm-inlining"]],
  ["14.6", ["liftoff", "wasm-lazy-compilation", "wasm-inlining", "wasm-inlining-call-indirect"]],
]);

const RELAXED: readonly Dot[] = NODE >= I32_SINCE ? ["i16", "i32"] : ["i16"];

let single: readonly UntriedProducts[] | undefined;
let paired: readonly UntriedProducts[] = [];

/** Those that this engine may be tried with. Plain ones of 128 bits are not among them: the kernels have the same. */
export function untriedProducts(): readonly UntriedProducts[] {
  single ??= compileAll(RELAXED, 128);
  return [...single, ...paired];
}

/**
 * Lets evaluations use registers of 256 bits, where the engine can work on two vectors at once: it is about 1.5 times as
 * fast. Call it before anything else in the process runs WebAssembly, in the main thread, or not at all: this way of
 * compiling is an experiment of V8's that breaks code which was not written for it, and for a moment it is on for
 * all that the engine compiles. Does nothing where the engine cannot.
 */
export function pairVectors(): void {
  const postponing = PAIRING.get(/^(\d+\.\d+)\..*-node/.exec(process.versions.v8)?.[1] ?? "");
  if (process.arch !== "x64" || postponing === undefined || paired.length > 0) return;
  const set = (flags: readonly string[]) => {
    for (const flag of flags) setFlagsFromString(`--${flag}`);
  };
  set(["experimental-wasm-revectorize", ...postponing.map((flag) => `no-${flag}`)]);
  try {
    paired = compileAll(["plain", ...RELAXED], 256);
  } finally {
    set(["no-experimental-wasm-revectorize", ...postponing]);
  }
}

/** Without those for which the engine lacks something. */
function compileAll(dots: readonly Dot[], bits: 128 | 256): UntriedProducts[] {
  if (NODE === FLAGGED) setFlagsFromString("--experimental-wasm-relaxed-simd");
  return dots.flatMap((dot) => {
    const bytes = readFileSync(createRequire(import.meta.url).resolve(`#products-${dot}`));
    // The engine compiles the same bytes only once, so they differ.
    const named = withSection(bytes, `${bits} bits`);
    return WebAssembly.validate(named) ? [{ module: new WebAssembly.Module(named), dot, bits }] : [];
  });
}

/** A module with an empty custom section at its end. */
function withSection(bytes: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  const chars = new TextEncoder().encode(name);
  return Uint8Array.from([...bytes, 0, chars.length + 1, chars.length, ...chars]);
}
