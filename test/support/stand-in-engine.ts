import type { Engine, Feed, Sequence } from "../../src/generate/engine.js";
import type { Model } from "../../src/model.js";
import { logitsOf } from "./logits.js";

/** An engine that says what it was fed. */
export interface StandIn extends Engine {
  /** The tokens of each feed of each step. */
  readonly steps: readonly (readonly number[])[][];
  /** How many sequences are open. */
  openCount(): number;
}

export interface StandInOptions {
  readonly context?: number | undefined;
  readonly sequences?: number | undefined;
  readonly piece?: number | undefined;
  /** Sequences can be cut. Default: true. */
  readonly cuts?: boolean | undefined;
}

/** An engine that keeps nothing but tokens: the logits after all of a sequence's are asked for anew in each step. */
function createStandIn(
  vocabSize: number,
  logitsAfter: (tokens: readonly number[]) => Promise<Float32Array> | Float32Array,
  { context = 64, sequences = 1, piece = 512, cuts = true }: StandInOptions,
): StandIn {
  const held = new Map<Sequence, number[]>();
  const steps: (readonly number[])[][] = [];
  return {
    vocabSize,
    context,
    sequences,
    piece,
    steps,
    openCount: () => held.size,
    open() {
      if (held.size === sequences) throw new Error(`more than ${sequences} sequences`);
      const tokens: number[] = [];
      const sequence: Sequence = {
        get length() {
          return tokens.length;
        },
        truncate(length) {
          if (cuts) tokens.length = length;
          return cuts;
        },
        copyFrom(other) {
          tokens.splice(0, tokens.length, ...held.get(other)!);
        },
        close() {
          held.delete(sequence);
        },
      };
      held.set(sequence, tokens);
      return sequence;
    },
    async step(feeds: readonly Feed[]) {
      steps.push(feeds.map(({ tokens }) => [...tokens]));
      const logits: Float32Array[] = [];
      for (const { sequence, tokens } of feeds) {
        const all = held.get(sequence);
        if (all === undefined) throw new Error("the sequence is closed");
        if (tokens.length === 0) throw new Error("nothing is fed");
        all.push(...tokens);
        if (all.length > context) throw new Error(`${all.length} tokens in a context of ${context}`);
        logits.push(await logitsAfter(all));
      }
      return logits;
    },
    async close() {
      held.clear();
    },
  };
}

/** An engine that computes with the evaluator, every token of a sequence anew in each step: slow, and a reference. */
export async function evaluatorEngine(model: Model, options: StandInOptions = {}): Promise<StandIn> {
  const { vocabSize } = model.hparams;
  const last = async (tokens: readonly number[]) => {
    const logits = await logitsOf(model, Int32Array.from(tokens));
    return logits.slice(-vocabSize);
  };
  return createStandIn(vocabSize, last, options);
}

/** An engine whose likeliest token after any others is the one that `next` names; the others are alike. */
export function scriptedEngine(
  vocabSize: number,
  next: (tokens: readonly number[]) => number,
  options: StandInOptions = {},
): StandIn {
  const logitsAfter = (tokens: readonly number[]) => {
    const logits = new Float32Array(vocabSize);
    logits[next(tokens)] = 9;
    return logits;
  };
  return createStandIn(vocabSize, logitsAfter, options);
}
