import { compareBytes } from "#host/bytes";
import { compileKernels, Kernels } from "../../kernels/kernels.js";
import { type Products, type Purpose, untriedProducts } from "../../kernels/products.js";
import { prepareTrials, type Trial, WIDE_TRIAL } from "./trials.js";

// Which module of products to use, decided by trying them. Relaxed SIMD is fast because what its instructions give for
// some operands is left to the machine, and an engine that makes one register of two vectors may do it wrongly. A module
// is taken only if it gives the very bits of the plain kernels, and only if it is the fastest here. So results never
// depend on the choice.

const TRIAL_MS = 120;
/** On a busy machine time alone is too little: engines optimize what has run for a while. */
const TRIAL_ROUNDS = 20;

const chosen = new Map<Purpose, Products | undefined>();

/** The fastest module that is exact on this engine; undefined if the kernels' own products are. Takes a moment once. */
export function chooseProducts(purpose: Purpose): Products | undefined {
  if (!chosen.has(purpose)) chosen.set(purpose, choose(purpose));
  return chosen.get(purpose);
}

function choose(purpose: Purpose): Products | undefined {
  const kernels = compileKernels();
  const modules = untriedProducts(purpose).map((untried) => {
    const products = { ...untried, wide: true };
    return { products, trials: prepareTrials(new Kernels(kernels, products), purpose) };
  });
  return fastestExact(prepareTrials(new Kernels(kernels), purpose), modules);
}

/** A module and what it is tried with. */
export interface Tried {
  readonly products: Products;
  readonly trials: readonly Trial[];
}

/**
 * The fastest of the modules that give the very bytes of the plain kernels in every round of their trials; undefined if
 * the plain ones are faster. One that is wrong with quants above 127 alone is not used for those.
 */
export function fastestExact(plain: readonly Trial[], modules: readonly Tried[]): Products | undefined {
  for (const { run } of plain) run();
  const expected = plain.map(({ result }) => result().slice());
  const contenders = [
    new Contender(plain, expected),
    ...modules.map(({ products, trials }) => new Contender(trials, expected, products)),
  ];
  const end = performance.now() + TRIAL_MS;
  for (let round = 0; round < TRIAL_ROUNDS || performance.now() < end; round++) {
    for (const contender of contenders) contender.run();
  }
  return contenders.reduce((a, b) => (b.time < a.time ? b : a)).products;
}

/** A module on trial. */
class Contender {
  readonly #trials: readonly Trial[];
  readonly #expected: readonly Uint8Array[];
  readonly #products: Products | undefined;
  readonly #wrong = new Set<string>();
  readonly #fastest: number[];

  constructor(trials: readonly Trial[], expected: readonly Uint8Array[], products?: Products) {
    this.#trials = trials;
    this.#expected = expected;
    this.#products = products;
    this.#fastest = trials.map(() => Number.POSITIVE_INFINITY);
  }

  /** Tries everything once. */
  run(): void {
    for (const [i, { name, run, result }] of this.#trials.entries()) {
      const started = performance.now();
      run();
      this.#fastest[i] = Math.min(this.#fastest[i]!, performance.now() - started);
      if (compareBytes(this.#expected[i]!, result()) !== 0) this.#wrong.add(name);
    }
  }

  /** Of everything at its fastest, in milliseconds; of a module that was wrong, infinite. */
  get time(): number {
    if ([...this.#wrong].some((name) => name !== WIDE_TRIAL)) return Number.POSITIVE_INFINITY;
    return this.#fastest.reduce((a, b) => a + b);
  }

  get products(): Products | undefined {
    return this.#products && { ...this.#products, wide: !this.#wrong.has(WIDE_TRIAL) };
  }
}
