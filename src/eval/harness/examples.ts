import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { PythonRandom } from "./random.js";

/** How lm-evaluation-harness 0.4.13 picks the examples in front of a question. */
export type Picking =
  /** The first of those given. */
  | "first"
  /** Drawn anew for every question, by one generator that goes on from question to question. */
  | "drawn"
  /** Likewise, and one more is drawn, for the case that one is the question itself: tasks without a test split. */
  | "drawn-one-more";

/** What the harness seeds its generator with, unless told otherwise. */
const SEED = 1234;

/**
 * Examples for one question after the other, to be asked for in their order.
 * @param isSame whether an example is the question itself
 * @throws LlqError `usage` for more than there are
 */
export function examplePicker<T, Q>(
  pool: readonly T[],
  count: number,
  picking: Picking,
  isSame: (example: T, question: Q) => boolean,
): (question: Q) => readonly T[] {
  const needed = picking === "drawn-one-more" && count > 0 ? count + 1 : count;
  if (pool.length < needed) {
    const hint =
      needed > count ? t`one more is needed, as one of them may be the question itself` : undefined;
    throw new LlqError("usage", t`${count} shots, but ${pool.length} questions to take them from`, { hint });
  }
  if (picking === "first" || count === 0) return () => pool.slice(0, count);
  const random = new PythonRandom(SEED);
  if (picking === "drawn") return () => random.sample(pool, count);
  return (question) => {
    const others = random.sample(pool, count + 1).filter((example) => !isSame(example, question));
    if (others.length >= count) return others.slice(0, count);
    const rest = pool.filter((example) => !isSame(example, question));
    if (rest.length >= count) return random.sample(rest, count);
    throw new LlqError("usage", t`${count} shots, but ${rest.length} questions that are not the one asked`);
  };
}
