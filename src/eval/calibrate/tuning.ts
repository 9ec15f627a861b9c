import type { Damping } from "./moments/factor.js";

/** What is chosen by the number of tokens for each column, in place of what is measured here for models at large. */
export interface Tuning extends Damping {
  /** Part of what is missing that a matrix is to make up for. */
  readonly correction: number;
}

/** Tokens a column from which on second moments are trusted. */
const ENOUGH = 5;
/** Fewer say nothing of how columns go together. */
export const LEAST = 1;

/** The settings for so many tokens a column; undefined: none make feedback worth while. */
export type TuningOf = (tokensPerColumn: number) => Tuning | undefined;

export function tuningOf(given: Partial<Tuning> = {}): TuningOf {
  return (tokens) => {
    if (tokens < LEAST) return undefined;
    const chosen: Tuning =
      tokens >= ENOUGH
        ? { shrink: 0.2, damp: 0.05, correction: 1 }
        : { shrink: 0.5, damp: 0.1, correction: 0.5 };
    return { ...chosen, ...given };
  };
}
