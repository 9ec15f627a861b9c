import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { type Activations, DEFAULT_ACTIVATIONS } from "../../net/products/matmul.js";
import { type MeasureOptions, withSession } from "../../net/session.js";
import type { Tokenizer } from "../../tokenizer/types.js";
import { scoreGroups } from "../perplexity/forward.js";
import { type Encoded, PROTOCOL, type ProtocolName } from "./protocols.js";
import { type NumberedQuestion, type QuestionFile, subjectOf } from "./questions.js";
import { type Answered, type AnsweredQuestion, type Summary, summarize } from "./summary.js";
import type { Task } from "./tasks/types.js";

export interface ChoiceOptions extends Omit<MeasureOptions, "onProgress"> {
  /** How questions are put and judged: llq's way, or that of lm-evaluation-harness. Default: llq. */
  readonly protocol?: ProtocolName | undefined;
  /** Questions with their answers, which come before each question. */
  readonly examples?: QuestionFile | undefined;
  /** How many of them. Default: all. */
  readonly shots?: number | undefined;
  /** Questions to ask, from the start of the file. Default: all. */
  readonly limit?: number | undefined;
  /** What the questions are about, where the prompt says so. Default: what they or the file's name say. */
  readonly subject?: string | undefined;
  /** It is no error when no question fits the context: the shares are not numbers then. */
  readonly mayBeNone?: boolean | undefined;
  /** Called with the options that are finished, and all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface ChoiceResult extends Summary {
  readonly protocol: ProtocolName;
  readonly questions: readonly AnsweredQuestion[];
  /** Questions longer than the context, which were left out. */
  readonly skipped: number;
  /** Questions of which the beginning was cut off to make them fit. */
  readonly cut: number;
  readonly shots: number;
  /** What met quantized weights. */
  readonly activations: Activations;
  readonly seconds: number;
}

/** An option as the model reads it. */
export interface Sequence extends Encoded {
  readonly question: number;
  readonly option: number;
  readonly isCut: boolean;
}

/** What is said of one. */
export interface Said {
  readonly logLikelihood: number;
  readonly isGreedy: boolean;
}

/** A question as the model reads it. */
export interface PreparedQuestion {
  readonly question: NumberedQuestion;
  /** One for each option. */
  readonly sequences: readonly Sequence[];
}

/** The questions of a file, and how the answers are counted. */
export interface PreparedChoice {
  readonly fitting: readonly PreparedQuestion[];
  /** Questions that do not fit the context. */
  readonly skipped: number;
  readonly protocol: ProtocolName;
  readonly shots: number;
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
  const { activations = DEFAULT_ACTIVATIONS } = options;
  const { fitting, skipped, protocol, shots } = prepareChoice(model, tokenizer, file, options);
  const found = await scoreSequences(
    model,
    fitting.flatMap(({ sequences }) => sequences),
    options,
  );
  const answered = fitting.map((own) => answerOf(own, protocol, found));
  return {
    ...choiceResult(file.task, protocol, answered),
    ...{ protocol, skipped, shots, activations },
    seconds: (performance.now() - started) / 1000,
  };
}

/** Makes the prompts. @throws LlqError as evaluateChoice */
export function prepareChoice(
  model: Model,
  tokenizer: Tokenizer,
  file: QuestionFile,
  options: ChoiceOptions,
): PreparedChoice {
  const { examples, shots = examples?.questions.length ?? 0, limit, protocol = "llq" } = options;
  const asked = file.questions.slice(0, limit);
  const all = sequencesOf(model, tokenizer, file, asked, { ...options, shots, protocol });
  const fitting = all.flatMap((sequences, i) =>
    sequences === undefined ? [] : [{ question: asked[i]!, sequences }],
  );
  if (fitting.length === 0 && !options.mayBeNone) {
    const hint = shots > 0 ? t`fewer --shots make the questions shorter` : undefined;
    throw badInput(
      t`${file.path}: no question fits the model's context of ${model.hparams.contextLength} tokens`,
      hint,
    );
  }
  return { fitting, skipped: all.length - fitting.length, protocol, shots };
}

/** What the model has said of a question. */
export interface SaidQuestion extends Answered {
  readonly isCut: boolean;
}

export function answerOf(
  { question, sequences }: PreparedQuestion,
  protocol: ProtocolName,
  found: ReadonlyMap<Sequence, Said>,
): SaidQuestion {
  const { lengthOf } = PROTOCOL[protocol];
  const tokens = sequences.map((sequence) => sequence.tokens.length - sequence.start);
  const said = sequences.map((sequence) => found.get(sequence)!);
  return {
    question,
    line: question.line,
    answer: question.answer,
    logLikelihoods: said.map(({ logLikelihood }) => logLikelihood),
    tokens,
    lengths: question.options.map(({ ending }, i) => lengthOf(ending, tokens[i]!)),
    greedy: said.map(({ isGreedy }) => isGreedy),
    isCut: sequences.some(({ isCut }) => isCut),
  };
}

/** What the answers to a file's questions come to. */
export function choiceResult(
  task: Task,
  protocol: ProtocolName,
  answered: readonly SaidQuestion[],
): Summary & Pick<ChoiceResult, "questions" | "cut"> {
  return {
    ...summarize(task, answered, PROTOCOL[protocol].isNormalized(task)),
    questions: answered.map(({ question: _, isCut: __, ...each }) => each),
    cut: answered.filter(({ isCut }) => isCut).length,
  };
}

/** For each question its options as the model reads them; undefined for one that does not fit. */
function sequencesOf(
  { vocab, hparams }: Model,
  tokenizer: Tokenizer,
  { path, task }: QuestionFile,
  questions: readonly NumberedQuestion[],
  { examples, shots, subject, protocol }: ChoiceOptions & { shots: number; protocol: ProtocolName },
): (Sequence[] | undefined)[] {
  const { header, picker, encode, cut } = PROTOCOL[protocol];
  const pick = picker(task, examples?.questions ?? [], shots);
  return questions.map((question, i) => {
    const about = subject ?? question.subject ?? subjectOf(path);
    const answered = pick(question).map(({ options, answer }) => {
      const { prompt, ending } = options[answer]!;
      return `${prompt}${ending}\n\n`;
    });
    const before = header(task, about) + answered.join("");
    const own = question.options.flatMap(({ prompt, ending }, option) => {
      const whole = encode(vocab, tokenizer, before + prompt, ending);
      const fitted = cut(whole, hparams.contextLength);
      const isCut = fitted !== undefined && fitted.tokens.length < whole.tokens.length;
      return fitted === undefined ? [] : [{ question: i, option, ...fitted, isCut }];
    });
    return own.length === question.options.length ? own : undefined;
  });
}

/** Sequences are padded to a common length, which may be longer than the shortest by this. */
const MAX_PADDING = 1.25;

/**
 * What the model says of each sequence's ending.
 * @param onSaid called for each, with what is said so far
 */
export async function scoreSequences(
  model: Model,
  sequences: readonly Sequence[],
  options: ChoiceOptions,
  onSaid?: (sequence: Sequence, found: ReadonlyMap<Sequence, Said>) => void,
): Promise<Map<Sequence, Said>> {
  const { activations, fast, threads, maxMemory, signal, onProgress } = options;
  const found = new Map<Sequence, Said>();
  await withSession(model, { activations, fast, threads, signal }, async (session) => {
    for (const group of groupByLength(sequences)) {
      const length = Math.max(...group.map(({ tokens }) => tokens.length));
      const firstPosition = Math.min(...group.map(({ start }) => start)) - 1;
      const padded = group.map(({ tokens }) => pad(tokens, length));
      // what the last token leads to is of no interest, so it is predicted and not read
      const chunks = padded.map((tokens) => tokens.subarray(0, -1));
      await scoreGroups(session, undefined, chunks, {
        firstPosition,
        following: Int32Array.from(padded, (tokens) => tokens.at(-1)!),
        maxMemory,
        onChunk: (chunk, { nll, isTop }) => {
          const sequence = group[chunk]!;
          const [from, to] = [sequence.start, sequence.tokens.length].map((at) => at - 1 - firstPosition);
          const logLikelihood = -nll.subarray(from, to).reduce((sum, value) => sum + value, 0);
          found.set(sequence, { logLikelihood, isGreedy: isTop.subarray(from, to).every(Boolean) });
          onSaid?.(sequence, found);
          onProgress?.(found.size, sequences.length);
        },
      });
    }
  });
  const broken = sequences.find((sequence) => !Number.isFinite(found.get(sequence)?.logLikelihood));
  if (broken === undefined) return found;
  throw badInput(t`${model.path}: question ${broken.question + 1}: the model's output is not a number`);
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
