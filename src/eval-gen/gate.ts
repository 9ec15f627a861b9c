import { Z_95 } from "../eval/perplexity/statistics.js";
import { t } from "../language/t.js";
import type { WrittenResult } from "./evaluate.js";
import type { Paired } from "./pairs.js";

/** What a model must hold; shares from 0 to 1. */
export interface WrittenBounds {
  readonly minAccuracy?: number | undefined;
  /** Of the base's accuracy. */
  readonly maxDrop?: number | undefined;
}

export interface WrittenVerdict {
  readonly bound: "min-accuracy" | "max-drop";
  readonly limit: number;
  readonly value: number;
  /** Where the value may be, with 95 % confidence. */
  readonly low: number;
  readonly high: number;
  readonly isWithin: boolean;
  /** The bound stands between low and high: more questions could turn it. */
  readonly isClose: boolean;
}

export function judgeWritten(
  { minAccuracy, maxDrop }: WrittenBounds,
  { accuracy }: Pick<WrittenResult, "accuracy">,
  paired: Paired | undefined,
): WrittenVerdict[] {
  const verdicts: WrittenVerdict[] = [];
  if (minAccuracy !== undefined) {
    const { value, low, high } = accuracy;
    verdicts.push({
      ...{ bound: "min-accuracy", limit: minAccuracy, value, low, high },
      isWithin: value >= minAccuracy,
      isClose: low < minAccuracy && minAccuracy < high,
    });
  }
  if (maxDrop !== undefined && paired !== undefined) {
    const { drop, error } = paired;
    const [low, high] = [drop - Z_95 * error, drop + Z_95 * error];
    verdicts.push({
      ...{ bound: "max-drop", limit: maxDrop, value: drop, low, high },
      isWithin: drop <= maxDrop,
      isClose: low < maxDrop && maxDrop < high,
    });
  }
  return verdicts;
}

/** A verdict in a line. */
export function describeWrittenVerdict({
  bound,
  limit,
  value,
  low,
  high,
  isWithin,
  isClose,
}: WrittenVerdict): string {
  const [shown, from, to, at] = [value, low, high, limit].map((share) => `${(100 * share).toFixed(2)} %`);
  const close = isClose ? t`; more questions could turn it` : "";
  return t`${bound} ${isWithin ? t`met` : t`broken`}: ${shown} (95 %: ${from} to ${to}), the bound is ${at}${close}`;
}
