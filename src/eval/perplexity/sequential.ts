// Looking at a test before all of it is done, so that a clear case ends early, without more errors than one look
// would make: O'Brien and Fleming's boundaries (Biometrics 35, 1979) for looks at equal steps.

/** Looks, the last of them at everything. */
export const LOOKS = 4;

/** By which all boundaries scale: one-sided 2.5 % over four looks (Jennison and Turnbull 2000, table 2.3). */
const CONSTANT = 2.024;

/** How many standard errors from a bound are clear at the `look`-th of LOOKS looks, counted from 1. */
export function boundary(look: number): number {
  return CONSTANT * Math.sqrt(LOOKS / look);
}

/** Fewest chunks of a look that say something of their spread. */
const MIN_CHUNKS = 2;

/** After how many of `count` chunks to look; the looks that are left out are the first ones. */
export function looksAt(count: number): { readonly look: number; readonly chunks: number }[] {
  return Array.from({ length: LOOKS }, (_, i) => ({
    look: i + 1,
    chunks: Math.ceil((count * (i + 1)) / LOOKS),
  })).filter(({ chunks }, i, all) => chunks >= MIN_CHUNKS && chunks !== all[i + 1]?.chunks);
}

/** In which order to evaluate: every look sees chunks from all over the text, which may change on its way. */
export function spreadOrder(count: number): number[] {
  const phases = [0, 2, 1, 3];
  const all = Array.from({ length: count }, (_, i) => i);
  return phases.flatMap((phase) => all.filter((i) => i % LOOKS === phase));
}
