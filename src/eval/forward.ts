import { closeSync, openSync } from "node:fs";
import { elementCount } from "../../formats/dtype.js";
import type { Model } from "../model.js";
import { Kernels } from "../run/kernels.js";
import { WorkerPool } from "../run/pool.js";
import { type Descriptors, readRowsF32 } from "../run/rows.js";
import { rowLength } from "../tensor.js";
import { type DecoderPlan, type LayerPlan, planDecoder } from "./decoder.js";
import { layerMemory, PIECE_TOKENS } from "./layer.js";
import { ropeTable } from "./rope.js";
import { scoreMemory } from "./score.js";
import { hiddenBytes, type Span } from "./span.js";
import type { LayerSquares } from "./squares.js";

export interface ForwardOptions {
  /** Worker threads; 0 works in this thread. Default: one a core. The result does not depend on it. */
  readonly threads?: number | undefined;
  /** Bytes for hidden states and the threads' working memory. Default: half of what is free. */
  readonly maxMemory?: number | undefined;
  /** Called after each job with the multiply-adds done, and all there are to do. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Stops the work; the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

export interface ScoreOptions extends ForwardOptions {
  /** In each chunk, the first position whose next token is scored. */
  readonly firstPosition: number;
  /** Called once for each chunk, in any order: -ln p of each scored token. */
  readonly onChunk: (chunk: number, nll: Float64Array) => void;
}

/**
 * Runs chunks of tokens, all of one length, through the model and scores the tokens that follow. Weights as they
 * are stored, activations in f32.
 *
 * Layers are streamed. The hidden states of as many chunks as memory allows (a group) stay in memory, and every
 * layer is read for all of them before the next is touched: a model larger than the memory is read from the disk
 * once a group. Jobs are some chunks in one layer; a thread needs nothing of another, so the result is the same
 * for every number of threads.
 */
export async function scoreChunks(
  model: Model,
  chunks: readonly Int32Array[],
  options: ScoreOptions,
): Promise<void> {
  await withSession(model, options, async (session) => {
    const { plan, files, pool } = session;
    const { output_norm, output } = plan;
    const { firstPosition } = options;
    const context = chunks[0]!.length;
    const scored = context - 1 - firstPosition;
    const memory = (count: number) => scoreMemory(output, count * scored);
    const size = fitMemory(session, chunks.length, context, options, memory);
    const blocks = prepareBlocks(session, context);
    const scoreWork = elementCount(output.shape) * scored;
    const advance = countWork(chunks.length * (blocks.chunkWork + scoreWork), options);

    const scoreSpan = async (firstChunk: number, span: Span, own: readonly Int32Array[]) => {
      await runBlocks(session, blocks, span, own, advance);
      const targets = join(own.map((chunk) => chunk.subarray(firstPosition + 1)));
      const epsilon = plan.hparams.normEpsilon;
      const { nll } = await pool.run({
        kind: "score",
        files,
        span,
        epsilon,
        output_norm,
        output,
        firstPosition,
        targets,
      });
      advance(scoreWork * span.chunks);
      own.forEach((_, i) => {
        options.onChunk(firstChunk + i, nll.subarray(i * scored, (i + 1) * scored));
      });
    };

    for (let first = 0; first < chunks.length; first += size.groupChunks) {
      const group = chunks.slice(first, first + size.groupChunks);
      await runGroup(session, size, group, (at, span, own) => scoreSpan(first + at, span, own));
    }
  });
}

/** A model that is being run. */
export interface Session {
  readonly plan: DecoderPlan;
  readonly files: Descriptors;
  readonly pool: WorkerPool;
}

/** Opens the model's files and starts threads, for as long as `work` takes. */
export async function withSession(
  model: Model,
  { threads, signal }: ForwardOptions,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const pool = new WorkerPool(threads);
  const stop = () => void pool.close();
  signal?.addEventListener("abort", stop, { once: true });
  const files: number[] = [];
  try {
    signal?.throwIfAborted();
    for (const file of model.container.files) files.push(openSync(file, "r"));
    await work({ plan: planDecoder(model), files, pool });
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", stop);
    await pool.close();
    for (const file of files) closeSync(file);
  }
}

/** What the blocks of a model need beside their weights, for chunks of one length. */
export interface Blocks {
  readonly rope: SharedArrayBuffer;
  /** Multiply-adds in each block, and in all of them, for one chunk. */
  readonly layerWork: readonly number[];
  readonly chunkWork: number;
}

export function prepareBlocks({ plan, files }: Session, context: number): Blocks {
  const layerWork = plan.layers.map((layer) => matrixElements(layer) * context);
  return {
    rope: ropeTable(plan.hparams, context, readDivisors(plan, files)).buffer,
    layerWork,
    chunkWork: layerWork.reduce((sum, work) => sum + work, 0),
  };
}

/** Runs the chunks of a span through all blocks. With `onLayer`, collects what goes into the matrices. */
export async function runBlocks(
  { plan, files, pool }: Session,
  { rope, layerWork }: Blocks,
  span: Span,
  chunks: readonly Int32Array[],
  advance: (work: number) => void,
  onLayer?: (layer: number, squares: LayerSquares) => void,
): Promise<void> {
  const { token_embd, hparams, traits, layers } = plan;
  const collect = onLayer !== undefined;
  await pool.run({ kind: "embed", files, span, token_embd, tokens: join(chunks) });
  for (const [i, layer] of layers.entries()) {
    const squares = await pool.run({ kind: "layer", files, span, hparams, traits, layer, rope, collect });
    if (squares !== undefined) onLayer?.(i, squares);
    advance(layerWork[i]! * span.chunks);
  }
}

/** Tells of work as it is done. */
export function countWork(total: number, { onProgress }: ForwardOptions): (work: number) => void {
  let done = 0;
  return (work) => {
    done += work;
    onProgress?.(done, total);
  };
}

/** Room for the hidden states of the chunks of a group, and how they are shared out. */
export interface GroupSize {
  readonly groupChunks: number;
  readonly jobChunks: number;
  readonly hidden: SharedArrayBuffer;
}

/** Cuts a group into spans and has each of them run; `firstChunk` counts from the start of the group. */
export async function runGroup(
  { plan, pool }: Session,
  { jobChunks, hidden }: GroupSize,
  group: readonly Int32Array[],
  runSpan: (firstChunk: number, span: Span, own: readonly Int32Array[]) => Promise<void>,
): Promise<void> {
  const context = group[0]!.length;
  const width = plan.hparams.embeddingLength;
  const step = Math.min(jobChunks, Math.ceil(group.length / Math.max(1, pool.threads)));
  // The pool takes jobs in order: every span does a layer before one does the next, yet none waits for all.
  const spans = Array.from({ length: Math.ceil(group.length / step) }, (_, i) => {
    const first = i * step;
    const own = group.slice(first, first + step);
    return runSpan(first, { hidden, first, chunks: own.length, context, width }, own);
  });
  await Promise.all(spans);
}

/** How many chunks are kept at once, and how many of them make a job. At least one, whatever it takes. */
export function fitMemory(
  { plan, pool }: Session,
  count: number,
  context: number,
  { maxMemory = process.availableMemory() / 2 }: ForwardOptions,
  memoryAfterBlocks: (chunks: number) => number,
): GroupSize {
  const { hparams, layers } = plan;
  const workers = Math.max(1, pool.threads);
  const hidden = hiddenBytes(1, context, hparams.embeddingLength);
  const working = (chunks: number) =>
    Math.max(layerMemory(hparams, layers[0]!, chunks, context), memoryAfterBlocks(chunks));
  let jobChunks = Math.max(1, Math.min(Math.floor(PIECE_TOKENS / context), Math.ceil(count / workers)));
  while (jobChunks > 1 && workers * working(jobChunks) > maxMemory / 2) jobChunks--;
  const left = maxMemory - workers * working(jobChunks);
  // When not even one job a thread fits, fewer threads have something to do.
  const fitting =
    left >= workers * jobChunks * hidden
      ? left / hidden
      : maxMemory / (working(jobChunks) / jobChunks + hidden);
  const groupChunks = Math.max(1, Math.min(count, Math.floor(fitting)));
  const shared = new SharedArrayBuffer(hiddenBytes(groupChunks, context, hparams.embeddingLength));
  return { groupChunks, jobChunks, hidden: shared };
}

function matrixElements({ attn_norm, ffn_norm, ...linears }: LayerPlan): number {
  return Object.values(linears).reduce((sum, { weight }) => sum + elementCount(weight.shape), 0);
}

/** RoPE divisors of each pair, for models that have them. */
function readDivisors({ rope_freqs }: DecoderPlan, files: Descriptors): Float32Array | undefined {
  if (rope_freqs === undefined) return undefined;
  const kernels = new Kernels();
  const pairs = rowLength(rope_freqs);
  const address = kernels.reserve(pairs * 4);
  readRowsF32(kernels, files, rope_freqs, 0, 1, address);
  return kernels.floats(address, pairs);
}

function join(parts: readonly Int32Array[]): Int32Array {
  const joined = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
