import { Z_95 } from "../eval/perplexity/statistics.js";
import type { Answered, WrittenResult } from "./evaluate.js";

/** Two models on the same questions, one by one. */
export interface Paired {
  /** Accuracy of the base. */
  readonly base: number;
  readonly both: number;
  readonly neither: number;
  /** Questions that the base had right and the model has not, and those where it is the other way round. */
  readonly lost: readonly string[];
  readonly gained: readonly string[];
  /** What the base had right beyond what the model has, as a share of all questions; its standard error. */
  readonly drop: number;
  readonly error: number;
  /**
   * How likely questions turn so far to one side, or farther, when each turns either way by chance: McNemar's test, exact
   * (Psychometrika 12, 1947), both sides.
   */
  readonly p: number;
  /** Questions that it takes to see a loss of so much, by how much. */
  readonly needed: readonly { readonly loss: number; readonly questions: number }[];
}

/** Losses that one may want to see. */
const LOSSES = [0.01, 0.02, 0.05];

/** What of a run can be paired with another: `asked` says whether the questions were the same, in the same words. */
export type PairedRun = Pick<WrittenResult, "asked" | "counts" | "questions">;

/**
 * Undefined where the two did not ask the same.
 * @param loss that one wants to see, beside the usual ones
 */
export function pairRuns(model: PairedRun, base: PairedRun, loss = 0): Paired | undefined {
  if (model.asked !== base.asked || model.counts !== base.counts) return undefined;
  const isRight = ({ scores }: Answered) => scores[model.counts]?.isRight === true;
  const before = new Map(base.questions.map((each) => [each.id, isRight(each)]));
  const ids = (now: boolean, then: boolean) =>
    model.questions
      .filter((each) => isRight(each) === now && before.get(each.id) === then)
      .map(({ id }) => id);
  const [lost, gained] = [ids(false, true), ids(true, false)];
  const n = model.questions.length;
  const both = ids(true, true).length;
  const drop = (lost.length - gained.length) / n;
  const turned = (lost.length + gained.length) / n;
  return {
    base: (both + lost.length) / n,
    both,
    neither: n - both - lost.length - gained.length,
    lost,
    gained,
    drop,
    error: n > 1 ? Math.sqrt(Math.max(0, turned - drop ** 2) / (n - 1)) : Number.POSITIVE_INFINITY,
    p: exactP(lost.length, gained.length),
    needed: lossesWith(loss).map((loss) => ({ loss, questions: questionsFor(loss, turned) })),
  };
}

function lossesWith(own: number): number[] {
  return [...new Set([...LOSSES, ...(own > 0 ? [own] : [])])].sort((a, b) => a - b);
}

/** Two-sided p of a fair coin that fell so and so often. */
export function exactP(heads: number, tails: number): number {
  const n = heads + tails;
  // ln of n over k, divided by 2^n, one after the other
  let term = -n * Math.LN2;
  let sum = 0;
  for (let k = 0; k <= Math.min(heads, tails); k++) {
    if (k > 0) term += Math.log((n - k + 1) / k);
    sum += Math.exp(term);
  }
  return Math.min(1, 2 * sum);
}

/** A chance of 80 % to see the loss, where 5 % on both sides are left to chance. */
const POWER_Z = 0.841621;

/** By Connor's formula (Biometrics 43, 1987), when as many questions turn as have turned, or as many as the loss takes. */
export function questionsFor(loss: number, turned: number): number {
  const share = Math.max(turned, loss);
  const root = Z_95 * Math.sqrt(share) + POWER_Z * Math.sqrt(share - loss ** 2);
  return Math.ceil((root / loss) ** 2);
}
