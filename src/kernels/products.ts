import { concatBytes } from "#host/bytes";
import { allowRelaxed, relaxedDots } from "#host/engine";
import { readModule } from "./modules.js";
import { whilePairing } from "./pairing.js";

// The modules of products (assembly/products.ts, assembly/generation.ts). None is to be used before it has been tried
// (src/net/products/products.ts).

/** What a module is for: products of many tokens, or those of a few and attention to caches too. */
export type Purpose = "evaluation" | "generation";

/** The dot product a module is compiled for. */
export type Dot = "plain" | "i16" | "i32";

export interface UntriedProducts {
  readonly module: WebAssembly.Module;
  readonly purpose: Purpose;
  readonly dot: Dot;
  /** Of the registers it uses. */
  readonly bits: 128 | 256;
}

/** A module of products that works here. Plain data. */
export interface Products extends UntriedProducts {
  /** Whether the dot product is exact for quants above 127. */
  readonly wide: boolean;
}

/** Products of floats whose last bits are the engine's own (assembly/fused.ts), beside a module of the others. Plain data. */
export type Fused = Pick<UntriedProducts, "module" | "bits">;

const FILES: Readonly<Record<Purpose, string>> = { evaluation: "products", generation: "generation" };

const single = new Map<Purpose, readonly UntriedProducts[]>();
const paired = new Map<Purpose, readonly UntriedProducts[]>();
let fused: Fused | undefined;

/** Those that this engine may be tried with. Plain ones of 128 bits are not among them: the kernels have the same. */
export function untriedProducts(purpose: Purpose): readonly UntriedProducts[] {
  const own = single.get(purpose) ?? compileAll(purpose, relaxedDots, 128);
  single.set(purpose, own);
  return [...own, ...(paired.get(purpose) ?? [])];
}

/** The widest that this engine may be tried with, if any: so a second run here takes none of other bits. */
export function untriedFused(): Fused | undefined {
  allowRelaxed();
  fused ??= compile("fused", 128);
  return fused;
}

/**
 * Lets evaluations and generation use registers of 256 bits, where the engine can work on two vectors at once: it is about 1.5 times as
 * fast. Call it before anything else in the process runs WebAssembly, in the main thread, or not at all: this way of
 * compiling is an experiment of V8's that breaks code which was not written for it, and for a moment it is on for
 * all that the engine compiles. Does nothing where the engine cannot.
 * @param purposes what will be done, fused where floats may meet fast; default: anything
 */
export function pairVectors(...purposes: readonly (Purpose | "fused")[]): void {
  const wanted = purposes.length > 0 ? purposes : (["evaluation", "generation", "fused"] as const);
  whilePairing(() => {
    if (wanted.includes("fused") && fused?.bits !== 256) fused = compile("fused", 256);
    const missing = wanted.filter((purpose) => purpose !== "fused" && !paired.has(purpose)) as Purpose[];
    for (const purpose of missing) paired.set(purpose, compileAll(purpose, ["plain", ...relaxedDots], 256));
  });
}

/** Without those for which the engine lacks something. */
function compileAll(purpose: Purpose, dots: readonly Dot[], bits: 128 | 256): UntriedProducts[] {
  allowRelaxed();
  return dots.flatMap((dot) => {
    const compiled = compile(`${FILES[purpose]}-${dot}`, bits);
    return compiled === undefined ? [] : [{ ...compiled, purpose, dot }];
  });
}

/** Undefined where the engine lacks something, or a page has not got the module. */
function compile(name: string, bits: 128 | 256): Fused | undefined {
  const bytes = readModule(name);
  if (bytes === undefined) return undefined;
  // The engine compiles the same bytes only once, so they differ.
  const named = withSection(bytes, `${bits} bits`);
  return WebAssembly.validate(named) ? { module: new WebAssembly.Module(named), bits } : undefined;
}

/** A module with an empty custom section at its end. */
function withSection(bytes: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  const chars = new TextEncoder().encode(name);
  return new Uint8Array(concatBytes([bytes, Uint8Array.of(0, chars.length + 1, chars.length), chars]));
}
