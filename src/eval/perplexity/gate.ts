import { t } from "../../language/t.js";
import { zOfT } from "./statistics.js";
import type { ChunkMeans } from "./tally.js";

/** What a model must hold. */
export interface Bounds {
  readonly maxPpl?: number | undefined;
  /** Of its perplexity to the base's. */
  readonly maxPplRatio?: number | undefined;
  /** Of the mean divergence from the base, in nats. */
  readonly maxKld?: number | undefined;
  /** Of the share of tokens where it and the base hold the same one likeliest; 0 to 1. */
  readonly minTop1?: number | undefined;
}

export type BoundName = "max-ppl" | "max-ppl-ratio" | "max-kld" | "min-top1";

/** Clear when the error bar does not reach the bound, undecided when it does. */
export type Outcome = "met" | "broken" | "undecided";

export interface Verdict {
  readonly bound: BoundName;
  readonly limit: number;
  readonly value: number;
  /** Standard error of `value`, with the chunk as the unit: tokens of one chunk depend on each other. */
  readonly error: number;
  readonly outcome: Outcome;
  /** Whether `value` is on the right side, error bar or not. */
  readonly isWithin: boolean;
}

/** Two-sided 95 %. */
const CLEAR = 1.96;

/** A bound as an upper limit of a mean over chunks. */
interface Row {
  readonly name: BoundName;
  readonly limit: keyof Bounds;
  /** Of a chunk; NaN where there is no base. */
  readonly quantity: (chunk: ChunkMeans) => number;
  /** From what the user reads to the quantity, and back. */
  readonly to: (value: number) => number;
  readonly from: (quantity: number) => number;
  /** |d value / d quantity|, for the error. */
  readonly slope: (value: number) => number;
}

const identity = (value: number) => value;
const complement = (value: number) => 1 - value;
const one = () => 1;

// biome-ignore format: columns
const ROWS: readonly Row[] = [
  { name: "max-ppl",       limit: "maxPpl",      quantity: ({ nll }) => nll,                  to: Math.log,   from: Math.exp,   slope: identity },
  { name: "max-ppl-ratio", limit: "maxPplRatio", quantity: ({ nll, base }) => nll - base!.nll, to: Math.log,   from: Math.exp,   slope: identity },
  { name: "max-kld",       limit: "maxKld",      quantity: ({ base }) => base!.kld,           to: identity,   from: identity,   slope: one },
  { name: "min-top1",      limit: "minTop1",     quantity: ({ base }) => 1 - base!.sameTop,   to: complement, from: complement, slope: one },
];

/** The bounds that need a base. */
export function needsBase({ maxPplRatio, maxKld, minTop1 }: Bounds): boolean {
  return maxPplRatio !== undefined || maxKld !== undefined || minTop1 !== undefined;
}

/**
 * Judges a model by the means of its chunks, which all have the same number of tokens; those of model and base are
 * paired.
 * @param clear standard errors between value and bound that make the case clear
 */
export function judge(bounds: Bounds, chunks: readonly ChunkMeans[], clear: number = CLEAR): Verdict[] {
  return ROWS.flatMap((row) => {
    const limit = bounds[row.limit];
    return limit === undefined ? [] : [judgeOne(row, limit, chunks.map(row.quantity), clear)];
  });
}

function judgeOne(row: Row, limit: number, quantities: readonly number[], clear: number): Verdict {
  const n = quantities.length;
  const mean = quantities.reduce((sum, quantity) => sum + quantity, 0) / n;
  const squares = quantities.reduce((sum, quantity) => sum + (quantity - mean) ** 2, 0);
  const error = n > 1 ? Math.sqrt(squares / (n - 1) / n) : Number.POSITIVE_INFINITY;
  const margin = row.to(limit) - mean;
  const isWithin = margin >= 0;
  // Chunks that all say the same leave no doubt, not even at the bound itself.
  const isClear = error === 0 || Math.abs(zOfT(margin / error, n - 1)) >= clear;
  const value = row.from(mean);
  return {
    bound: row.name,
    limit,
    value,
    error: row.slope(value) * error,
    outcome: isClear ? (isWithin ? "met" : "broken") : "undecided",
    isWithin,
  };
}

/** Whether more chunks could change what the gate says: they cannot once a bound is clearly broken or all are met. */
export function isSettled(verdicts: readonly Verdict[]): boolean {
  return (
    verdicts.some(({ outcome }) => outcome === "broken") || verdicts.every(({ outcome }) => outcome === "met")
  );
}

export type GateResult = "passed" | "failed" | "undecided";

/** @param strict a case that is not clear is undecided; else its value decides */
export function gateResult(verdicts: readonly Verdict[], strict: boolean): GateResult {
  if (verdicts.some((verdict) => isBroken(verdict, strict))) return "failed";
  return strict && verdicts.some(({ outcome }) => outcome === "undecided") ? "undecided" : "passed";
}

/** Whether a verdict alone makes the gate fail. */
export function isBroken({ outcome, isWithin }: Verdict, strict: boolean): boolean {
  return outcome === "broken" || (outcome === "undecided" && !isWithin && !strict);
}

/** A verdict in a line. */
export function describeVerdict({ bound, limit, value, error, outcome, isWithin }: Verdict): string {
  const shown = `${format(value)} ± ${format(error)}`;
  const distance = format(Math.abs(value - limit));
  const by = isWithin
    ? t`${distance} within the bound of ${limit}`
    : t`${distance} beyond the bound of ${limit}`;
  const clear = {
    met: t`met`,
    broken: t`broken`,
    undecided: t`undecided, the error bar reaches the bound`,
  }[outcome];
  return `${bound} ${clear}: ${shown}, ${by}`;
}

function format(value: number): string {
  return value.toPrecision(4);
}
