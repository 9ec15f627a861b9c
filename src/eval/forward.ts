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

export interface ForwardOptions {
  /** In each chunk, the first position whose next token is scored. */
  readonly firstPosition: number;
  /** Worker threads; 0 works in this thread. Default: one a core. The result does not depend on it. */
  readonly threads?: number | undefined;
  /** Bytes for hidden states and the threads' working memory. Default: half of what is free. */
  readonly maxMemory?: number | undefined;
  /** Called after each job with the multiply-adds done, and all there are to do. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called once for each chunk, in any order: -ln p of each scored token. */
  readonly onChunk: (chunk: number, nll: Float64Array) => void;
  /** Stops the work; the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
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
  options: ForwardOptions,
): Promise<void> {
  const pool = new WorkerPool(options.threads);
  const stop = () => void pool.close();
  options.signal?.addEventListener("abort", stop, { once: true });
  const files: number[] = [];
  try {
    options.signal?.throwIfAborted();
    for (const file of model.container.files) files.push(openSync(file, "r"));
    await runGroups(planDecoder(model), chunks, files, pool, options);
  } catch (error) {
    throw options.signal?.aborted ? options.signal.reason : error;
  } finally {
    options.signal?.removeEventListener("abort", stop);
    await pool.close();
    for (const file of files) closeSync(file);
  }
}

async function runGroups(
  plan: DecoderPlan,
  chunks: readonly Int32Array[],
  files: Descriptors,
  pool: WorkerPool,
  options: ForwardOptions,
): Promise<void> {
  const { hparams, layers } = plan;
  const { firstPosition } = options;
  const context = chunks[0]!.length;
  const scored = context - 1 - firstPosition;
  const width = hparams.embeddingLength;
  const { groupChunks, jobChunks } = fitMemory(plan, chunks.length, context, pool.threads, options);
  const hidden = new SharedArrayBuffer(hiddenBytes(groupChunks, context, width));
  const rope = ropeTable(hparams, context, readDivisors(plan, files)).buffer;

  const layerWork = layers.map((layer) => matrixElements(layer) * context);
  const scoreWork = elementCount(plan.output.shape) * scored;
  const total = chunks.length * layerWork.reduce((sum, work) => sum + work, scoreWork);
  let done = 0;
  const advance = (work: number) => {
    done += work;
    options.onProgress?.(done, total);
  };

  /** One run of chunks through the whole model. */
  const runSpan = async (firstChunk: number, span: Span) => {
    const own = chunks.slice(firstChunk, firstChunk + span.chunks);
    const { token_embd, output_norm, output, traits } = plan;
    await pool.run({ kind: "embed", files, span, token_embd, tokens: join(own) });
    for (const [i, layer] of layers.entries()) {
      await pool.run({ kind: "layer", files, span, hparams, traits, layer, rope });
      advance(layerWork[i]! * span.chunks);
    }
    const targets = join(own.map((chunk) => chunk.subarray(firstPosition + 1)));
    const epsilon = hparams.normEpsilon;
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

  for (let group = 0; group < chunks.length; group += groupChunks) {
    const inGroup = Math.min(groupChunks, chunks.length - group);
    // The pool takes jobs in order: every span does a layer before one does the next, yet none waits for all.
    const spans = Array.from({ length: Math.ceil(inGroup / jobChunks) }, (_, i) => {
      const first = i * jobChunks;
      const count = Math.min(jobChunks, inGroup - first);
      return runSpan(group + first, { hidden, first, chunks: count, context, width });
    });
    await Promise.all(spans);
  }
}

/** How many chunks are kept at once, and how many of them make a job. At least one, whatever it takes. */
function fitMemory(
  plan: DecoderPlan,
  count: number,
  context: number,
  threads: number,
  { firstPosition, maxMemory = process.availableMemory() / 2 }: ForwardOptions,
): { groupChunks: number; jobChunks: number } {
  const workers = Math.max(1, threads);
  const hidden = hiddenBytes(1, context, plan.hparams.embeddingLength);
  const working = (chunks: number) =>
    Math.max(
      layerMemory(plan.hparams, plan.layers[0]!, chunks, context),
      scoreMemory(plan.output, chunks * (context - 1 - firstPosition)),
    );
  let jobChunks = Math.max(1, Math.min(Math.floor(PIECE_TOKENS / context), Math.ceil(count / workers)));
  while (jobChunks > 1 && workers * working(jobChunks) > maxMemory / 2) jobChunks--;
  const left = maxMemory - workers * working(jobChunks);
  // When not even one job a thread fits, fewer threads have something to do.
  const fitting =
    left >= workers * jobChunks * hidden
      ? left / hidden
      : maxMemory / (working(jobChunks) / jobChunks + hidden);
  return { jobChunks, groupChunks: Math.max(1, Math.min(count, Math.floor(fitting))) };
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
