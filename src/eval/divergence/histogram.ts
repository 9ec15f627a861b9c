/** How many values are between neighbouring edges; those beyond the outer ones are counted with their neighbours. */
export interface Histogram {
  readonly edges: readonly number[];
  readonly counts: readonly number[];
}

const DECADES = [-6, 1] as const;
const BINS_A_DECADE = 4;

/** The same for all divergences, so that they can be laid beside each other: logarithmic, from 1e-6 to 10 nats. */
const EDGES = Array.from(
  { length: (DECADES[1] - DECADES[0]) * BINS_A_DECADE + 1 },
  (_, i) => 10 ** (DECADES[0] + i / BINS_A_DECADE),
);

/** Of divergences in nats; rounding may leave some a little below 0. */
export function divergenceHistogram(values: Float64Array): Histogram {
  const counts = Array.from({ length: EDGES.length - 1 }, () => 0);
  for (const value of values) {
    const bin = Math.floor((Math.log10(Math.max(value, EDGES[0]!)) - DECADES[0]) * BINS_A_DECADE);
    counts[Math.min(bin, counts.length - 1)]! += 1;
  }
  return { edges: EDGES, counts };
}
