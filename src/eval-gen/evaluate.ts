import { LlqError } from "../../formats/errors.js";
import { PythonRandom } from "../eval/harness/random.js";
import { type Interval, wilsonInterval } from "../eval/perplexity/statistics.js";
import { generateBatch } from "../generate/batch.js";
import { chatEncoder } from "../generate/chat/chat.js";
import type { ChatTemplate } from "../generate/chat/template.js";
import type { Engine, EngineOptions, LoadEngine } from "../generate/engine.js";
import type { Generated } from "../generate/generate.js";
import type { FinishReason } from "../generate/lane.js";
import { Detokenizer } from "../generate/text/detokenizer.js";
import { endTokens } from "../generate/text/end-tokens.js";
import { t } from "../language/t.js";
import type { Model } from "../model.js";
import { type Activations, DEFAULT_ACTIVATIONS } from "../net/products/matmul.js";
import type { Tokenizer } from "../tokenizer/types.js";
import { fitBatch } from "./batch-size.js";
import type { Examples } from "./examples.js";
import { hashOf, makePrompts, type Prompt } from "./prompts.js";
import type { FiledQuestion } from "./questions.js";
import type { Manner, ProtocolName, WrittenTask } from "./tasks/types.js";

export interface WrittenOptions extends Pick<EngineOptions, "kvType" | "activations" | "threads" | "signal"> {
  /** Whose stop strings and scores. Default: llq. */
  readonly protocol?: ProtocolName | undefined;
  readonly examples?: ((group: string) => Examples) | undefined;
  /** Examples before each question. Default: as many as is usual, where there are any. */
  readonly shots?: number | undefined;
  /** Questions to ask: the first, or with a seed any. Default: all. */
  readonly limit?: number | undefined;
  readonly seed?: number | undefined;
  /** Tokens of an answer. Default: the protocol's; with llq's no more than half of the context. */
  readonly maxTokens?: number | undefined;
  /** Texts that end an answer. Default: the protocol's. */
  readonly stop?: readonly string[] | undefined;
  /** Tokens of prompt and answer together. Default: what the model has learned. */
  readonly context?: number | undefined;
  /** Asks in a chat. */
  readonly template?: ChatTemplate | undefined;
  /** Questions at once. Default: 8, or fewer where memory is short. */
  readonly batch?: number | undefined;
  /** Bytes for the model, what its sequences hold, and what it works in. */
  readonly maxMemory?: number | undefined;
  /** Answers of a run before this one, by the ids of their questions. */
  readonly known?: ReadonlyMap<string, Answered> | undefined;
  readonly onProgress?: ((progress: WrittenProgress) => void) | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Bytes of weights loaded, and all there are. */
  readonly onLoad?: EngineOptions["onProgress"];
}

export interface WrittenProgress {
  /** Those so far, in any order. */
  readonly answered: readonly Answered[];
  readonly total: number;
  /** Right so far, by the score that counts. */
  readonly right: number;
  readonly tokensPerSecond: number;
}

export interface Answered {
  readonly id: string;
  readonly group: string;
  /** Of the prompt, as `Prompt.hash`. */
  readonly prompt: string;
  readonly promptTokens: number;
  /** Ids that the model wrote. */
  readonly tokens: readonly number[];
  /** What of them is looked at. */
  readonly text: string;
  readonly finish: FinishReason;
  /** By score: what was read out of the text, and whether that is right. */
  readonly scores: Readonly<Record<string, Judged>>;
}

export interface Judged {
  readonly answer: string;
  readonly isRight: boolean;
}

export interface WrittenResult {
  readonly task: string;
  readonly protocol: ProtocolName;
  readonly shots: number;
  readonly isChat: boolean;
  readonly maxTokens: number;
  readonly activations: Activations;
  /** The same for two runs that asked the same, in the same words: their answers can be paired. */
  readonly asked: string;
  /** The name of the score that counts. */
  readonly counts: string;
  readonly accuracy: Interval;
  /** By score. */
  readonly accuracies: Readonly<Record<string, Interval>>;
  /** Of BBH's tasks or MATH's subjects, by the score that counts; where there are several. */
  readonly groups: Readonly<Record<string, Interval>>;
  /** In the order they were asked in. */
  readonly questions: readonly Answered[];
  /** Prompts without their beginning. */
  readonly cut: number;
  /** Answers that were as long as they may be. */
  readonly unfinished: number;
  readonly batch: number;
  /** Of answers written now, in all sequences together. */
  readonly tokensPerSecond: number;
  readonly seconds: number;
}

/** Eight sequences take little longer than four, and little memory. */
const DEFAULT_BATCH = 8;

/**
 * Has a model write answers, several at once, and judges them. Neither their number nor their order changes an answer.
 * @throws LlqError `usage` for more shots than examples, or an answer that leaves a prompt no room; `no-space` where not
 * even one question fits the memory; as loadEngine
 */
export async function evaluateWritten(
  model: Model,
  tokenizer: Tokenizer,
  task: WrittenTask,
  questions: readonly FiledQuestion[],
  load: LoadEngine,
  options: WrittenOptions = {},
): Promise<WrittenResult> {
  const started = performance.now();
  const { protocol = "llq", examples, template, known, signal, activations = DEFAULT_ACTIVATIONS } = options;
  const manner = mannerOf(task, protocol, options, model.hparams.contextLength);
  const limit = options.context ?? model.hparams.contextLength;
  if (manner.maxTokens >= limit) {
    throw new LlqError("usage", t`answers of ${manner.maxTokens} tokens in a context of ${limit} leave no room for a question`, {
      hint: t`fewer --max-tokens, or a larger --context`,
    }); // biome-ignore format: one line
  }
  const chat = template && chatEncoder(model, tokenizer, template);
  const chosen = choose(questions, options);
  const room = limit - manner.maxTokens;
  const { shots } = options;
  const prompts = makePrompts(task, tokenizer, chosen, { protocol, shots, examples, chat, room });
  const asked = hashOf(
    JSON.stringify([task.name, protocol, manner.stop, manner.maxTokens, prompts.map(({ hash }) => hash)]),
  );
  const answered = new Map<string, Answered>();
  for (const { question, hash } of prompts) {
    const before = known?.get(question.id);
    if (before?.prompt === hash) answered.set(question.id, before);
  }
  const open = prompts.filter(({ question }) => !answered.has(question.id));
  let batch = 0;
  let speed = 0;
  if (open.length > 0) {
    const context = Math.max(...open.map(({ ids }) => ids.length)) + manner.maxTokens;
    batch = fitBatch(
      model,
      { ...options, activations, context },
      Math.min(options.batch ?? DEFAULT_BATCH, open.length),
    );
    const engine = await load(model, {
      ...{ context, sequences: batch + 1, activations, signal },
      ...{ kvType: options.kvType, threads: options.threads },
      onProgress: options.onLoad,
      onWarning: options.onWarning,
    });
    try {
      speed = await answerAll(engine, model, manner, open, prompts.length, answered, {
        ...options,
        protocol,
        isChat: chat !== undefined,
      });
    } finally {
      await engine.close();
    }
  }
  signal?.throwIfAborted();
  const all = prompts.map(({ question }) => answered.get(question.id)!);
  return {
    ...{
      task: task.name,
      protocol,
      shots: Math.max(...prompts.map((prompt) => prompt.shots)),
      isChat: chat !== undefined,
      maxTokens: manner.maxTokens,
      activations,
      asked,
    },
    ...summarize(manner, all),
    questions: all,
    cut: prompts.filter(({ isCut }) => isCut).length,
    unfinished: all.filter(({ finish }) => finish === "length").length,
    batch,
    tokensPerSecond: speed,
    seconds: (performance.now() - started) / 1000,
  };
}

function mannerOf(
  task: WrittenTask,
  protocol: ProtocolName,
  { maxTokens, stop, context }: WrittenOptions,
  learned: number,
): Manner {
  const own = task.manners[protocol];
  const half = Math.max(1, Math.floor((context ?? learned) / 2));
  const usual = protocol === "harness" ? own.maxTokens : Math.min(own.maxTokens, half);
  return { ...own, maxTokens: maxTokens ?? usual, stop: stop ?? own.stop };
}

/** In the order of the file, whichever they are. */
function choose(
  questions: readonly FiledQuestion[],
  { limit, seed }: WrittenOptions,
): readonly FiledQuestion[] {
  if (limit === undefined || limit >= questions.length) return questions;
  if (seed === undefined) return questions.slice(0, limit);
  const picked = new PythonRandom(seed).sample([...questions.keys()], limit);
  return picked.sort((a, b) => a - b).map((i) => questions[i]!);
}

/** @returns tokens of answers a second */
async function answerAll(
  engine: Engine,
  model: Model,
  manner: Manner,
  prompts: readonly Prompt[],
  total: number,
  answered: Map<string, Answered>,
  { protocol, isChat, signal, onProgress }: WrittenOptions & { protocol: ProtocolName; isChat: boolean },
): Promise<number> {
  const started = performance.now();
  const ends = endTokens(model);
  const counts = manner.scores[0]!.name;
  let right = [...answered.values()].filter(({ scores }) => scores[counts]?.isRight).length;
  let tokens = 0;
  const speed = () => (1000 * tokens) / (performance.now() - started);
  // a prefix whose tokens see each other is not what another prompt begins with
  const stems = model.hparams.prefixTokens === undefined ? prompts.map(({ stem }) => stem) : undefined;
  await generateBatch(
    engine,
    model.vocab,
    prompts.map(({ ids }) => ids),
    {
      ...{ maxTokens: manner.maxTokens, stop: manner.stop, ends, signal, stems },
      ...(isChat ? { continues: false } : {}),
      onDone: (index, generated) => {
        if (generated.finish === "interrupted") return;
        const { question, hash, ids } = prompts[index]!;
        const text = protocol === "harness" ? harnessText(model, generated, manner.stop) : generated.text;
        const judged = manner.scores.map(({ name, answer, isRight }) => {
          const said = answer(text);
          return [name, { answer: said, isRight: isRight(said, question.gold) }] as const;
        });
        const scores = Object.fromEntries(judged);
        answered.set(question.id, {
          ...{ id: question.id, group: question.group, prompt: hash, promptTokens: ids.length },
          tokens: generated.pieces.map(({ token }) => token),
          ...{ text, finish: generated.finish, scores },
        });
        tokens += generated.pieces.length;
        if (scores[counts]!.isRight) right++;
        onProgress?.({ answered: [...answered.values()], total, right, tokensPerSecond: speed() });
      },
    },
  );
  return speed();
}

/**
 * All that was written, as a text of its own, cut before the first stop string, then before the second in what is left, and so
 * on; the token that ends texts is one of them.
 */
function harnessText({ vocab }: Model, { pieces }: Generated, stop: readonly string[]): string {
  const detokenizer = new Detokenizer(vocab, { continues: false });
  const text = pieces.map(({ token }) => detokenizer.push(token)).join("") + detokenizer.end();
  const eos = vocab.special.eos;
  const stops = eos === undefined ? stop : [...stop, vocab.tokens[eos]!];
  return stops.reduce((left, each) => left.split(each)[0]!, text);
}

function summarize({ scores }: Manner, answered: readonly Answered[]) {
  const counts = scores[0]!.name;
  const share = (some: readonly Answered[], name: string) =>
    wilsonInterval(some.filter((each) => each.scores[name]?.isRight).length, some.length);
  const names = [...new Set(answered.map(({ group }) => group))];
  const groups = names.map(
    (name) =>
      [
        name,
        share(
          answered.filter(({ group }) => group === name),
          counts,
        ),
      ] as const,
  );
  return {
    counts,
    accuracy: share(answered, counts),
    accuracies: Object.fromEntries(scores.map(({ name }) => [name, share(answered, name)])),
    groups: names.length > 1 ? Object.fromEntries(groups) : {},
  };
}
