import type { Damping } from "./moments/factor.js";

/** What second moments are used for, by how far they can be trusted. */
export interface Tuning extends Damping {
  /** Part of what the rounded stream misses that a matrix is to make up for. */
  readonly correction: number;
}

/**
 * The settings, by tokens for each column: with few of them moments are mostly chance. Chosen on samples/tiny-llama,
 * judged by other documents than those that `npm run bench -- feedback` reports.
 */
const SETTINGS: readonly (readonly [tokensFrom: number, Tuning])[] = [
  [25, { shrink: 0.2, damp: 0.05, correction: 1 }],
  [5, { shrink: 0.3, damp: 0.1, correction: 0.7 }],
  [1, { shrink: 0.3, damp: 0.1, correction: 0.5 }],
  [0.1, { shrink: 0.5, damp: 0.3, correction: 0.3 }],
];

/** Times that the codes are gone through again when all is to be done, at most. */
export const DESCENTS = 4;

/** The settings for so many tokens a column; undefined: none make feedback worth while. */
export type TuningOf = (tokensPerColumn: number) => Tuning | undefined;

export function tuningOf(given: Partial<Tuning> = {}): TuningOf {
  return (tokens) => {
    const chosen = SETTINGS.find(([from]) => tokens >= from)?.[1];
    return chosen && { ...chosen, ...given };
  };
}
