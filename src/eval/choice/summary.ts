import { type Interval, wilsonInterval } from "../perplexity/statistics.js";
import type { Question, Task } from "./tasks/types.js";

/** What answers come to. */
export interface Summary {
  /** Share of questions whose right option is the likeliest. */
  readonly accuracy: Interval;
  /**
   * The same by likelihood for their length, so that endings of several compare: by tokens, and in the harness' protocol
   * by characters. Undefined where the protocol does not count by it.
   */
  readonly accuracyNormalized: Interval | undefined;
  /** What guessing would give. */
  readonly chance: number;
  /** Where right answers share the probability (TruthfulQA's mc2): what they have of it, as a mean over the questions. */
  readonly truthfulness?: number | undefined;
  /** Where there are no options (LAMBADA): e to the mean -ln p of the answers. */
  readonly perplexity?: number | undefined;
}

export interface AnsweredQuestion {
  /** In its file, from 1. */
  readonly line: number;
  readonly answer: number;
  /** ln p(ending | prompt) of each option. */
  readonly logLikelihoods: readonly number[];
  /** Tokens of each ending. */
  readonly tokens: readonly number[];
  /** What the likelihood of each is divided by to compare by length. */
  readonly lengths: readonly number[];
  /** Whether each ending is what the model would say itself: every token the likeliest. */
  readonly greedy: readonly boolean[];
}

export interface Answered extends AnsweredQuestion {
  readonly question: Question;
}

/** What answers come to. @param isNormalized whether they are counted by length too */
export function summarize(
  { isOpen }: Pick<Task, "isOpen">,
  questions: readonly Answered[],
  isNormalized: boolean,
): Summary {
  if (isOpen) {
    const logLikelihoods = questions.map((each) => each.logLikelihoods[0]!);
    return {
      accuracy: countOf(questions, ({ greedy }) => greedy[0]!),
      accuracyNormalized: undefined,
      chance: 0,
      perplexity: Math.exp(-meanOf(logLikelihoods)),
    };
  }
  const truths = questions.flatMap((each) => shareOfTruth(each) ?? []);
  return {
    accuracy: countOf(questions, (each) => isRight(each, each.logLikelihoods)),
    accuracyNormalized: isNormalized
      ? countOf(questions, (each) =>
          isRight(
            each,
            each.logLikelihoods.map((value, i) => value / each.lengths[i]!),
          ),
        )
      : undefined,
    chance: meanOf(questions.map((each) => 1 / candidatesOf(each))),
    truthfulness: truths.length > 0 ? meanOf(truths) : undefined,
  };
}

/** Options that are to be chosen from. */
function candidatesOf({ question: { options, truths } }: Answered): number {
  return truths?.first ?? options.length;
}

function isRight(each: Answered, scores: readonly number[]): boolean {
  const candidates = scores.slice(0, candidatesOf(each));
  return candidates.indexOf(Math.max(...candidates)) === each.answer;
}

/** Of the probability of all its answers, what the right ones have. */
function shareOfTruth({ question: { truths }, logLikelihoods }: Answered): number | undefined {
  if (truths === undefined) return undefined;
  const own = logLikelihoods.slice(truths.first);
  const most = Math.max(...own);
  const shares = own.map((value) => Math.exp(value - most));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return sum(shares.filter((_, i) => truths.right[i])) / sum(shares);
}

function countOf<T>(items: readonly T[], counts: (item: T) => boolean): Interval {
  return wilsonInterval(items.filter(counts).length, items.length);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
