import type { PrefixTokens } from "../../arch/hparams.js";

/**
 * The tokens of a chunk that see each other, and where the text behind them belongs: GLM fills a blank that the prefix
 * marks, usually at its end (arXiv:2103.10360).
 */
export interface Prefix {
  readonly length: number;
  /** Place of the blank. */
  readonly blank: number;
}

/** A chunk without the token that ends a prefix has none. */
export function prefixOf(chunk: Int32Array, { start, gmask, mask }: PrefixTokens): Prefix {
  const length = Math.max(0, chunk.indexOf(start));
  const own = chunk.indexOf(gmask);
  const blank = own < 0 && mask !== undefined ? chunk.indexOf(mask) : own;
  return { length, blank: Math.max(0, blank) };
}

/**
 * Place in the prefix, and behind it, of `count` tokens from `start` on: those of the prefix are numbered and 0 behind it; later ones are
 * at the blank's place, and numbered from 1.
 */
export function prefixPlaces(
  { length, blank }: Prefix,
  start: number,
  count: number,
): [first: number, second: number][] {
  return Array.from({ length: count }, (_, n) => {
    const i = start + n;
    return i < length ? [i, 0] : [blank, i - length + 1];
  });
}
