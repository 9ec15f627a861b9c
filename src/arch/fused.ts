import { type Dimension, dimension } from "./dimensions.js";
import type { HParams } from "./hparams.js";

/** Rows `first` to `first + count`, for each of `ranges`, of a source that has `rows`. */
export interface Part {
  readonly rows: number;
  readonly ranges: readonly { readonly first: number; readonly count: number }[];
}

/** Part `index` of a source in which parts of these lengths stand below each other. */
export function partOf(lengths: readonly Dimension[], index: number): (h: HParams) => Part {
  return (h) => {
    const counts = lengths.map((name) => dimension(name, h));
    const sum = (parts: readonly number[]) => parts.reduce((total, count) => total + count, 0);
    return { rows: sum(counts), ranges: [{ first: sum(counts.slice(0, index)), count: counts[index]! }] };
  };
}

/**
 * Queries, keys or values, or all of them in this order, of a source whose rows are grouped by key/value head: the
 * queries that share it, the key, the value.
 */
export function grouped(...parts: readonly ("q" | "k" | "v")[]): (h: HParams) => Part {
  return (h) => {
    const q = (h.headCount / h.headCountKv) * h.keyLength;
    const group = q + h.keyLength + h.valueLength;
    const place = { q: [0, q], k: [q, h.keyLength], v: [q + h.keyLength, h.valueLength] } as const;
    const ranges = parts.flatMap((part) => {
      const [first, count] = place[part];
      return Array.from({ length: h.headCountKv }, (_, i) => ({ first: i * group + first, count }));
    });
    return { rows: h.headCountKv * group, ranges };
  };
}
