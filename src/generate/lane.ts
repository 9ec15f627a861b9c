import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";
import { TOKEN_TYPE, type Vocab } from "../tokenizer/types.js";
import type { Engine, Feed } from "./engine.js";
import { Held } from "./held.js";
import { logprobs } from "./sampling/distribution.js";
import { Sampler, type SamplerOptions } from "./sampling/sampler.js";
import { Detokenizer } from "./text/detokenizer.js";
import { checkPrompt } from "./text/prompt.js";
import { StopFilter } from "./text/stop.js";

/** Tokens that a context should have room for behind a prompt. */
const ROOM = 512;

export interface GenerateOptions extends SamplerOptions {
  /** Tokens at most. Default: until the model ends or the context is full. */
  readonly maxTokens?: number | undefined;
  /** Texts that end it; they are not part of it. */
  readonly stop?: readonly string[] | undefined;
  /** Tokens that end it, see endTokens. Default: none. */
  readonly ends?: ReadonlySet<number> | undefined;
  /** Control tokens are part of the text. */
  readonly special?: boolean | undefined;
  /**
   * The text goes on with the prompt's, so a space in front of it is its own. Default: whether the prompt has text; an
   * answer in a chat begins its own.
   */
  readonly continues?: boolean | undefined;
  /** Gives each piece its log-probability, and those of so many of the likeliest. */
  readonly logprobs?: number | undefined;
  /** Makes room when the context is full: half of what comes behind the first `keep` tokens is forgotten. */
  readonly contextShift?: ContextShift | undefined;
}

export interface ContextShift {
  /** Tokens from the start that stay. Default: the one that texts begin with. */
  readonly keep?: number | undefined;
  readonly onShift?: ((forgotten: number, context: number) => void) | undefined;
}

/**
 * Why it ended: a stop string, a token that ends what the model says, as many tokens as were wanted, a full context, or
 * an AbortSignal.
 */
export type FinishReason = "stop" | "end" | "length" | "context" | "interrupted";

/** One token, and the text that goes out with it: it may wait for later tokens, and come with one. */
export interface Piece {
  readonly token: number;
  readonly text: string;
  /** Natural logarithm of the probability that the model gave it, before penalties and filters; where asked for. */
  readonly logprob?: number | undefined;
  /** The likeliest tokens, likeliest first; where asked for. */
  readonly top?: readonly TopToken[] | undefined;
}

export interface TopToken {
  readonly token: number;
  /** Alone, as if it began a text. */
  readonly text: string;
  readonly logprob: number;
}

/** What one sequence is given, and what is made of what comes back: a prompt, then token after token. */
export class Lane {
  readonly held: Held;
  readonly prompt: Int32Array;
  /** Tokens of the prompt that the sequence held already. */
  readonly reused: number;
  /** Where tokens are drawn. */
  readonly seed: bigint | undefined;
  /** Tokens that were fed before the first of its own. */
  fed = 0;
  finish: FinishReason | undefined;
  readonly #engine: Engine;
  readonly #vocab: Vocab;
  readonly #options: GenerateOptions;
  readonly #sampler: Sampler;
  readonly #detokenizer: Detokenizer;
  readonly #stops: StopFilter;
  readonly #past: number[];
  #pending: Int32Array;
  #given: Int32Array = new Int32Array();
  #count = 0;

  /**
   * @param held a sequence to go on with; what it holds in common with the prompt is not fed again
   * @param stream tells lanes apart that have one seed
   * @throws LlqError `usage` for a prompt longer than the context or an empty one of a model without a token to begin
   * with, and for options out of range; `bad-input` for ids outside the vocabulary
   */
  constructor(
    engine: Engine,
    vocab: Vocab,
    prompt: Int32Array,
    options: GenerateOptions,
    held?: Held,
    stream = 0,
  ) {
    checkOptions(options);
    this.#engine = engine;
    this.#vocab = vocab;
    this.#options = options;
    this.prompt = checkPrompt(vocab, prompt, engine.vocabSize);
    checkFits(this.prompt.length, engine.context);
    this.#sampler = new Sampler(options, stream);
    this.seed = options.temperature ? this.#sampler.seed : undefined;
    const { special, continues = hasText(vocab, this.prompt), stop = [] } = options;
    this.#detokenizer = new Detokenizer(vocab, { special, continues });
    this.#stops = new StopFilter(stop);
    this.#past = [...this.prompt];
    this.held = held ?? new Held(engine);
    this.reused = this.held.keep(this.prompt);
    this.#pending = this.prompt.subarray(this.reused);
  }

  /** What to feed next; `take` is to be called with what comes of it. */
  next(): Feed {
    this.#makeRoom();
    this.#given = this.#pending.subarray(0, this.#engine.piece);
    return this.held.feed(this.#given);
  }

  /** The token that these logits lead to; undefined while there is more of the prompt to feed. */
  take(logits: Float32Array): Piece | undefined {
    this.held.fed(this.#given);
    this.#pending = this.#pending.subarray(this.#given.length);
    if (this.#count === 0) this.fed += this.#given.length;
    if (this.#pending.length > 0) return undefined;
    const token = this.#sampler.sample(logits, this.#past);
    const said = this.#logprobs(logits, token);
    this.#past.push(token);
    this.#pending = Int32Array.of(token);
    this.#count++;
    return { token, text: this.#text(token), ...said };
  }

  /** Text that goes out with a token, and whether it is the last. */
  #text(token: number): string {
    const { ends, special, maxTokens } = this.#options;
    const isEnd = ends?.has(token) ?? false;
    const { text, stopped } = this.#stops.push(isEnd && !special ? "" : this.#detokenizer.push(token));
    if (stopped) this.finish = "stop";
    else if (isEnd) this.finish = "end";
    else if (this.#count === maxTokens) this.finish = "length";
    else if (this.held.ids.length === this.#engine.context && this.#options.contextShift === undefined) {
      this.finish = "context";
    }
    if (stopped || this.finish === undefined) return text;
    const last = this.#stops.push(this.#detokenizer.end());
    if (last.stopped) this.finish = "stop";
    return text + last.text + this.#stops.end();
  }

  #logprobs(logits: Float32Array, token: number): Pick<Piece, "logprob" | "top"> {
    const { logprobs: count } = this.#options;
    if (count === undefined) return {};
    const { logprob, top } = logprobs(logits, token, count);
    const textOf = (id: number) => {
      const detokenizer = new Detokenizer(this.#vocab, { special: true, continues: true });
      return detokenizer.push(id) + detokenizer.end();
    };
    return { logprob, top: top.map((each) => ({ ...each, text: textOf(each.token) })) };
  }

  /** Where the context is full: what stays is held anew, and fed again where the sequence cannot cut its middle out. */
  #makeRoom(): void {
    const { ids } = this.held;
    const { contextShift } = this.#options;
    if (ids.length < this.#engine.context || contextShift === undefined) return;
    const { keep = ids[0] === this.#vocab.special.bos ? 1 : 0, onShift } = contextShift;
    const kept = Math.max(0, Math.min(keep, ids.length - 2));
    const forgotten = Math.ceil((ids.length - kept) / 2);
    const stays = Int32Array.from([...ids.slice(0, kept), ...ids.slice(kept + forgotten), ...this.#pending]);
    this.#pending = stays.subarray(this.held.keep(stays));
    onShift?.(forgotten, this.#engine.context);
  }
}

/** @throws LlqError `usage` */
function checkOptions({ maxTokens, stop, logprobs: count, contextShift }: GenerateOptions): void {
  const refuse = (message: string) => {
    throw new LlqError("usage", message);
  };
  const isCount = (value = 0, least = 0) => Number.isSafeInteger(value) && value >= least;
  if (!isCount(maxTokens ?? 1, 1))
    refuse(t`maxTokens is ${maxTokens}, and must be a whole number of at least 1`);
  if (!isCount(count)) refuse(t`logprobs is ${count}, and must be a whole number`);
  if (!isCount(contextShift?.keep)) refuse(t`keep is ${contextShift?.keep}, and must be a whole number`);
  if (stop?.includes("")) refuse(t`a stop string is empty`);
}

/** @throws LlqError `usage` with what would do */
export function checkFits(tokens: number, context: number): void {
  if (tokens <= context) return;
  throw new LlqError("usage", t`the prompt has ${tokens} tokens, the context ${context}`, {
    hint: t`a shorter one, or a larger context: --context ${tokens + ROOM}`,
  });
}

function hasText({ types }: Vocab, ids: Int32Array): boolean {
  return ids.some((id) => types[id] !== TOKEN_TYPE.CONTROL && types[id] !== TOKEN_TYPE.UNKNOWN);
}
