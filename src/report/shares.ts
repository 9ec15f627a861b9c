import type { Interval } from "../eval/perplexity/statistics.js";
import { t } from "../language/t.js";

/** A share as people read it. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

/** The same with what it may be otherwise. */
export function interval({ value, low, high }: Interval): string {
  return t`${percent(value)} (95 %: ${(100 * low).toFixed(2)} to ${(100 * high).toFixed(2)})`;
}
