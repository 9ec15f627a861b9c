import type { Vocab } from "../tokenizer/types.js";
import type { Engine } from "./engine.js";
import type { Held } from "./held.js";
import { type FinishReason, type GenerateOptions, Lane, type Piece } from "./lane.js";

export interface RunOptions extends GenerateOptions {
  /** Ends it after the step that is under way; what has come stays. */
  readonly signal?: AbortSignal | undefined;
  /** A sequence to go on with: what it holds in common with the prompt is not fed again. It stays open. */
  readonly held?: Held | undefined;
}

export interface Generated {
  readonly prompt: Int32Array;
  readonly pieces: readonly Piece[];
  readonly text: string;
  readonly finish: FinishReason;
  /** What the tokens were drawn with, where they were drawn. */
  readonly seed: bigint | undefined;
  readonly timings: Timings;
}

export interface Timings {
  /** Tokens of the prompt that were fed, and that the sequence held already. */
  readonly promptTokens: number;
  readonly reusedTokens: number;
  /** Until the first token. */
  readonly promptSeconds: number;
  readonly promptTokensPerSecond: number;
  /** Tokens behind the first. */
  readonly decodeTokens: number;
  readonly decodeSeconds: number;
  readonly decodeTokensPerSecond: number;
}

/**
 * What a model makes of a prompt, piece by piece; when there is no more, `generated` says what it was.
 * @throws LlqError when iterated: as the constructor of Lane, and `bad-input` for a model that gives no numbers
 */
export interface Generation extends AsyncIterable<Piece> {
  /** @throws Error before the end */
  readonly generated: Generated;
}

/**
 * @param prompt ids; none begins with the token that texts begin with
 */
export function generate(
  engine: Engine,
  vocab: Vocab,
  prompt: Int32Array,
  options: RunOptions = {},
): Generation {
  let generated: Generated | undefined;
  async function* run(): AsyncGenerator<Piece> {
    const record = new Recorder(new Lane(engine, vocab, prompt, options, options.held));
    const { lane } = record;
    try {
      while (lane.finish === undefined && !options.signal?.aborted) {
        const piece = await step(engine, [record]);
        if (piece[0] !== undefined) yield piece[0];
      }
    } finally {
      lane.finish ??= "interrupted";
      generated = record.generated();
      if (options.held === undefined) lane.held.close();
    }
  }
  return {
    [Symbol.asyncIterator]: run,
    get generated() {
      if (generated === undefined) throw new Error("generation is not at its end");
      return generated;
    },
  };
}

/** Feeds each lane what it has next. A step that fails leaves sequences of which nobody knows what they hold. */
export async function step(engine: Engine, records: readonly Recorder[]): Promise<(Piece | undefined)[]> {
  try {
    const logits = await engine.step(records.map(({ lane }) => lane.next()));
    return records.map((record, i) => record.take(logits[i]!));
  } catch (error) {
    for (const { lane } of records) lane.held.restart();
    throw error;
  }
}

/** A lane with its pieces and times. */
export class Recorder {
  readonly lane: Lane;
  readonly #pieces: Piece[] = [];
  readonly #started = performance.now();
  #first: number | undefined;
  #last = this.#started;

  constructor(lane: Lane) {
    this.lane = lane;
  }

  take(logits: Float32Array): Piece | undefined {
    const piece = this.lane.take(logits);
    this.#last = performance.now();
    if (piece === undefined) return undefined;
    this.#first ??= this.#last;
    this.#pieces.push(piece);
    return piece;
  }

  generated(): Generated {
    const { prompt, reused, seed, finish = "interrupted", fed: promptTokens } = this.lane;
    const first = this.#first ?? this.#last;
    const decodeTokens = Math.max(0, this.#pieces.length - 1);
    const [promptSeconds, decodeSeconds] = [(first - this.#started) / 1000, (this.#last - first) / 1000];
    return {
      prompt,
      pieces: this.#pieces,
      text: this.#pieces.map(({ text }) => text).join(""),
      finish,
      seed,
      timings: {
        ...{ promptTokens, reusedTokens: reused, promptSeconds },
        promptTokensPerSecond: rate(promptTokens, promptSeconds),
        ...{ decodeTokens, decodeSeconds },
        decodeTokensPerSecond: rate(decodeTokens, decodeSeconds),
      },
    };
  }
}

function rate(count: number, seconds: number): number {
  return seconds > 0 ? count / seconds : 0;
}
