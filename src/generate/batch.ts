import type { Vocab } from "../tokenizer/types.js";
import type { Engine } from "./engine.js";
import { type Generated, Recorder, step } from "./generate.js";
import { Held } from "./held.js";
import { type GenerateOptions, Lane, type Piece } from "./lane.js";

export interface BatchOptions extends GenerateOptions {
  readonly signal?: AbortSignal | undefined;
  /** Each piece as it comes; `index` is that of its prompt. */
  readonly onPiece?: ((index: number, piece: Piece) => void) | undefined;
  /** Each text when it is at its end. */
  readonly onDone?: ((index: number, generated: Generated) => void) | undefined;
  /**
   * Of each prompt, how many tokens it begins with that others begin with too. They are fed once, into a sequence of their
   * own, and copied for as long as the prompts that follow begin with the same.
   */
  readonly stems?: readonly number[] | undefined;
}

/**
 * Several prompts at once, as many as the engine has sequences, one less with stems; the others follow as sequences become
 * free. The same texts come as one by one, but for what rounding does; with a seed, each prompt has numbers of its own.
 * @throws LlqError as the constructor of Lane, and `bad-input` for a model that gives no numbers
 */
export async function generateBatch(
  engine: Engine,
  vocab: Vocab,
  prompts: readonly Int32Array[],
  { signal, onPiece, onDone, stems, ...options }: BatchOptions = {},
): Promise<Generated[]> {
  const results: Generated[] = [];
  const open = new Map<number, Recorder>();
  const stem = stems && new Held(engine);
  const most = engine.sequences - (stem === undefined ? 0 : 1);
  const begin = async (index: number) => {
    const prompt = prompts[index]!;
    const shared = prompt.subarray(0, Math.min(stems?.[index] ?? 0, prompt.length - 1));
    if (stem === undefined || shared.length === 0 || signal?.aborted)
      return new Recorder(new Lane(engine, vocab, prompt, options, undefined, index));
    await hold(engine, stem, shared);
    const held = new Held(engine);
    held.adopt(stem);
    return new Recorder(new Lane(engine, vocab, prompt, options, held, index));
  };
  let next = 0;
  try {
    while (next < prompts.length || open.size > 0) {
      for (; next < prompts.length && open.size < most; next++) open.set(next, await begin(next));
      const running = [...open];
      const pieces = signal?.aborted
        ? []
        : await step(
            engine,
            running.map(([, record]) => record),
          );
      for (const [i, [index, record]] of running.entries()) {
        if (signal?.aborted) record.lane.finish ??= "interrupted";
        if (pieces[i] !== undefined) onPiece?.(index, pieces[i]);
        if (record.lane.finish === undefined) continue;
        results[index] = record.generated();
        record.lane.held.close();
        open.delete(index);
        onDone?.(index, results[index]);
      }
    }
  } finally {
    for (const { lane } of open.values()) lane.held.close();
    stem?.close();
  }
  return results;
}

/** Makes a sequence hold these tokens and no more. */
async function hold(engine: Engine, stem: Held, tokens: Int32Array): Promise<void> {
  const { ids } = stem;
  if (ids.length === tokens.length && tokens.every((id, i) => id === ids[i])) return;
  stem.restart();
  for (let at = 0; at < tokens.length; at += engine.piece) {
    const piece = tokens.subarray(at, at + engine.piece);
    await engine.step([stem.feed(piece)]);
    stem.fed(piece);
  }
}
