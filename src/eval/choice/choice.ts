import { badInput, LlqError } from "../../../formats/errors.js";
import type { Model } from "../../model.js";
import { type Activations, DEFAULT_ACTIVATIONS } from "../../net/products/matmul.js";
import { type ForwardOptions, withSession } from "../../net/session.js";
import type { Tokenizer } from "../../tokenizer/types.js";
import { scoreGroups } from "../perplexity/forward.js";
import { type Interval, wilsonInterval } from "../perplexity/statistics.js";
import { type NumberedQuestion, type QuestionFile, subjectOf } from "./questions.js";

export interface ChoiceOptions extends Omit<ForwardOptions, "onProgress"> {
  /** Questions with their answers, which come before each question. */
  readonly examples?: QuestionFile | undefined;
  /** How many of them. Default: all. */
  readonly shots?: number | undefined;
  /** Questions to ask, from the start of the file. Default: all. */
  readonly limit?: number | undefined;
  /** What the questions are about, where the prompt says so. Default: what the file's name says. */
  readonly subject?: string | undefined;
  /** Called with the questions that are finished, and all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface ChoiceResult {
  /** Share of questions whose right option is the likeliest. */
  readonly accuracy: Interval;
  /** The same by likelihood per token: endings of several lengths compare fairly. */
  readonly accuracyNormalized: Interval;
  /** What guessing would give. */
  readonly chance: number;
  readonly questions: readonly AnsweredQuestion[];
  /** Questions longer than the context, which were left out. */
  readonly skipped: number;
  readonly shots: number;
  /** What met quantized weights. */
  readonly activations: Activations;
  readonly seconds: number;
}

export interface AnsweredQuestion {
  /** In its file, from 1. */
  readonly line: number;
  readonly answer: number;
  /** ln p(ending | prompt) of each option. */
  readonly logLikelihoods: readonly number[];
  /** Tokens of each ending. */
  readonly tokens: readonly number[];
}

/** An option as the model reads it. */
interface Sequence {
  readonly question: number;
  readonly option: number;
  readonly tokens: Int32Array;
  /** Where the ending begins; at least 1. */
  readonly start: number;
}

/**
 * Asks multiple choice questions by likelihood: an option's is the product of the probabilities of its tokens.
 * @throws LlqError `bad-input` when no question fits the context, `usage` for more shots than there are examples
 */
export async function evaluateChoice(
  model: Model,
  tokenizer: Tokenizer,
  file: QuestionFile,
  options: ChoiceOptions = {},
): Promise<ChoiceResult> {
  const started = performance.now();
  const { examples, shots = examples?.questions.length ?? 0, limit } = options;
  const { activations = DEFAULT_ACTIVATIONS } = options;
  const preamble = preambleOf(file, options.subject ?? subjectOf(file.path), examples, shots);
  const asked = file.questions.slice(0, limit);
  const all = asked.map((question, i) => sequencesOf(question, i, preamble, tokenizer));
  const { contextLength } = model.hparams;
  const fitting = all.filter((own) => own.every(({ tokens }) => tokens.length <= contextLength));
  if (fitting.length === 0) {
    const hint = shots > 0 ? "fewer --shots make the questions shorter" : undefined;
    throw badInput(`${file.path}: no question fits the model's context of ${contextLength} tokens`, hint);
  }
  const logLikelihoods = await scoreSequences(model, fitting.flat(), options);
  const questions = fitting.map((own) => ({
    line: asked[own[0]!.question]!.line,
    answer: asked[own[0]!.question]!.answer,
    logLikelihoods: own.map((sequence) => logLikelihoods.get(sequence)!),
    tokens: own.map(({ tokens, start }) => tokens.length - start),
  }));
  return {
    ...summarize(questions),
    questions,
    skipped: all.length - fitting.length,
    shots,
    activations,
    seconds: (performance.now() - started) / 1000,
  };
}

function preambleOf(
  { task }: QuestionFile,
  subject: string,
  examples: QuestionFile | undefined,
  shots: number,
): string {
  const answered = examples?.questions.slice(0, shots) ?? [];
  if (answered.length < shots) {
    throw new LlqError("usage", `${shots} shots, but ${answered.length} questions to take them from`);
  }
  const texts = answered.map(({ options, answer }) => options[answer]!.prompt + options[answer]!.ending);
  return (task.header?.(subject) ?? "") + texts.map((text) => `${text}\n\n`).join("");
}

/**
 * The whole is tokenized at once, as text that the model was trained on is. A token that spans the end of the
 * prompt belongs to the ending.
 */
function sequencesOf(
  { options }: NumberedQuestion,
  question: number,
  preamble: string,
  tokenizer: Tokenizer,
): Sequence[] {
  return options.map(({ prompt, ending }, option) => {
    const before = tokenizer.encode(preamble + prompt);
    const tokens = tokenizer.encode(preamble + prompt + ending);
    const differs = before.findIndex((token, i) => token !== tokens[i]);
    return { question, option, tokens, start: Math.max(1, differs < 0 ? before.length : differs) };
  });
}

/** Sequences are padded to a common length, which may be longer than the shortest by this. */
const MAX_PADDING = 1.25;

/** ln p of each sequence's ending. */
async function scoreSequences(
  model: Model,
  sequences: readonly Sequence[],
  { activations, threads, maxMemory, signal, onProgress }: ChoiceOptions,
): Promise<Map<Sequence, number>> {
  const found = new Map<Sequence, number>();
  await withSession(model, { activations, threads, signal }, async (session) => {
    for (const group of groupByLength(sequences)) {
      const context = Math.max(...group.map(({ tokens }) => tokens.length));
      const firstPosition = Math.min(...group.map(({ start }) => start)) - 1;
      const chunks = group.map(({ tokens }) => pad(tokens, context));
      await scoreGroups(session, undefined, chunks, {
        firstPosition,
        maxMemory,
        onChunk: (chunk, { nll }) => {
          const sequence = group[chunk]!;
          const [from, to] = [sequence.start, sequence.tokens.length].map((at) => at - 1 - firstPosition);
          found.set(sequence, -nll.subarray(from, to).reduce((sum, value) => sum + value, 0));
          onProgress?.(found.size, sequences.length);
        },
      });
    }
  });
  const broken = sequences.find((sequence) => !Number.isFinite(found.get(sequence)));
  if (broken === undefined) return found;
  throw badInput(`${model.path}: question ${broken.question + 1}: the model's output is not a number`);
}

function groupByLength(sequences: readonly Sequence[]): Sequence[][] {
  const groups: Sequence[][] = [];
  for (const sequence of [...sequences].sort((a, b) => a.tokens.length - b.tokens.length)) {
    const shortest = groups.at(-1)?.[0]?.tokens.length ?? 0;
    if (sequence.tokens.length <= MAX_PADDING * shortest) groups.at(-1)!.push(sequence);
    else groups.push([sequence]);
  }
  return groups;
}

/** What comes after a token does not reach it, so any token will do. */
function pad(tokens: Int32Array, length: number): Int32Array {
  const padded = new Int32Array(length);
  padded.set(tokens);
  return padded;
}

function summarize(questions: readonly AnsweredQuestion[]) {
  const count = questions.length;
  const isRight = ({ answer }: AnsweredQuestion, scores: readonly number[]) =>
    scores.indexOf(Math.max(...scores)) === answer;
  const right = questions.filter((question) => isRight(question, question.logLikelihoods)).length;
  const rightNormalized = questions.filter((question) =>
    isRight(
      question,
      question.logLikelihoods.map((value, i) => value / question.tokens[i]!),
    ),
  ).length;
  const chances = questions.reduce((sum, { logLikelihoods }) => sum + 1 / logLikelihoods.length, 0);
  return {
    accuracy: wilsonInterval(right, count),
    accuracyNormalized: wilsonInterval(rightNormalized, count),
    chance: chances / count,
  };
}
