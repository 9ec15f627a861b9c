import { closeSync, openSync } from "node:fs";
import { elementCount } from "../../formats/dtype.js";
import { LlqError } from "../../formats/errors.js";
import type { Positions } from "../arch/architecture.js";
import type { Model } from "../model.js";
import { Kernels } from "../run/kernels.js";
import { WorkerPool } from "../run/pool.js";
import { type Descriptors, readRowsF32 } from "../run/rows.js";
import { rowCount, rowLength } from "../tensor.js";
import type { Base } from "./base.js";
import type { BaselineFile } from "./baseline-record.js";
import { PIECE_TOKENS } from "./block.js";
import { type DecoderPlan, type LayerPlan, planDecoder } from "./decoder.js";
import type { Head } from "./head.js";
import type { Keep } from "./keep.js";
import { layerMemory } from "./layer.js";
import { type Activations, DEFAULT_ACTIVATIONS } from "./matmul.js";
import { prefixOf } from "./prefix.js";
import { chooseRelaxed } from "./relaxed.js";
import { ropeTable } from "./rope.js";
import { type ScoreResult, scoreMemory, type TokenScores } from "./score.js";
import { hiddenBytes, type Span } from "./span.js";
import { inputsOf, type LayerSquares } from "./squares.js";

export interface ForwardOptions {
  /** What meets quantized weights. Default: int8. */
  readonly activations?: Activations | undefined;
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
  /** What to compare the distributions with: another model, or a file's records, one for each chunk. */
  readonly base?: Model | BaselineFile | undefined;
  /** What of the distributions to hand over as records of a baseline file. */
  readonly keep?: Keep | undefined;
  /** Called once for each chunk, in any order. */
  readonly onChunk: (chunk: number, scores: ChunkScores) => void;
  /** Numbers of chunks after which `isEnough` is asked whether the rest can be left out. */
  readonly looks?: readonly number[] | undefined;
  readonly isEnough?: ((chunks: number) => boolean) | undefined;
}

/** What is said of the scored tokens of a chunk. */
export interface ChunkScores extends TokenScores {
  readonly record?: Uint8Array | undefined;
}

/**
 * Runs chunks of tokens, all of one length, through the model and scores the tokens that follow.
 *
 * Layers are streamed. The hidden states of as many chunks as memory allows (a group) stay in memory, and every
 * layer is read for all of them before the next is touched: a model larger than the memory is read from the disk
 * once a group. Jobs are some chunks in one layer; a thread needs nothing of another, so the result is the same
 * for every number of threads. A base model goes through its layers beside it, and both distributions meet slab
 * by slab in the job that scores them.
 */
export async function scoreChunks(
  model: Model,
  chunks: readonly Int32Array[],
  options: ScoreOptions,
): Promise<void> {
  await withSession(model, options, async (session, open) => {
    const { base } = options;
    const other = base === undefined || "form" in base ? undefined : open(base);
    await scoreGroups(session, other, chunks, options);
  });
}

/** As scoreChunks, with models that are open already. */
export async function scoreGroups(
  session: Session,
  other: Session | undefined,
  chunks: readonly Int32Array[],
  options: ScoreOptions,
): Promise<void> {
  const { plan, pool } = session;
  const { firstPosition, looks = [], isEnough, keep } = options;
  const context = chunks[0]!.length;
  const scored = context - 1 - firstPosition;
  const { size, otherSize } = fitBoth(session, other, chunks.length, context, options);
  const blocks = prepareBlocks(session, context);
  const otherBlocks = other && prepareBlocks(other, context);
  const scoreWork = (elementCount(plan.output.shape) + outputSize(other)) * scored;
  const chunkWork = blocks.chunkWork + (otherBlocks?.chunkWork ?? 0) + scoreWork;
  const advance = countWork(chunks.length * chunkWork, options);

  const scoreSpan = async (firstChunk: number, span: Span, own: readonly Int32Array[]) => {
    await runBlocks(session, blocks, span, own, advance);
    let base = baseRecords(options.base, firstChunk, own.length);
    if (other !== undefined && otherBlocks !== undefined && otherSize !== undefined) {
      const otherSpan = { ...span, hidden: otherSize.hidden, width: other.plan.hparams.embeddingLength };
      await runBlocks(other, otherBlocks, otherSpan, own, advance);
      base = { form: "model", head: headOf(other), span: otherSpan };
    }
    const targets = joinTokens(own.map((chunk) => chunk.subarray(firstPosition + 1)));
    const job = { ...headOf(session), kind: "score", span, firstPosition, targets, base, keep } as const;
    const result = await pool.run(job);
    advance(scoreWork * span.chunks);
    own.forEach((_, i) => {
      options.onChunk(firstChunk + i, scoresOfChunk(result, i, scored));
    });
  };

  let first = 0;
  for (const end of [...looks.filter((look) => look < chunks.length), chunks.length]) {
    while (first < end) {
      const group = chunks.slice(first, Math.min(end, first + size.groupChunks));
      const start = first;
      await runGroup(session, size, group, (at, span, own) => scoreSpan(start + at, span, own));
      first += group.length;
    }
    if (isEnough?.(end)) return;
  }
}

/** Room for the chunks of a group in the model, and in the one it is compared with. */
function fitBoth(
  session: Session,
  other: Session | undefined,
  count: number,
  context: number,
  options: ScoreOptions,
): { size: GroupSize; otherSize: GroupSize | undefined } {
  const { keep, firstPosition, maxMemory = process.availableMemory() / 2 } = options;
  const base = baseRecords(options.base, 0, count);
  const memory = (chunks: number) =>
    scoreMemory(session.plan.output, chunks, context - 1 - firstPosition, { base, keep });
  if (other === undefined) {
    return { size: fitMemory(session, count, context, options, memory), otherSize: undefined };
  }
  const half = { ...options, maxMemory: maxMemory / 2 };
  const otherMemory = (chunks: number) => scoreMemory(other.plan.output, chunks, context - 1 - firstPosition);
  const size = fitMemory(session, count, context, half, memory);
  const otherSize = fitMemory(other, count, context, half, otherMemory);
  const groupChunks = Math.min(size.groupChunks, otherSize.groupChunks);
  const jobChunks = Math.min(size.jobChunks, otherSize.jobChunks);
  return { size: { ...size, groupChunks, jobChunks }, otherSize };
}

function outputSize(session: Session | undefined): number {
  return session === undefined ? 0 : elementCount(session.plan.output.shape);
}

/** What turns a model's last hidden states into logits. */
export function headOf({ plan, files, activations }: Session): Head {
  const { output_norm, output, hparams, traits } = plan;
  return { files, activations, hparams, traits, output_norm, output };
}

/** The records of some chunks, if the base is a file. */
function baseRecords(base: ScoreOptions["base"], first: number, count: number): Base | undefined {
  if (base === undefined || !("form" in base)) return undefined;
  return { ...base, records: base.records.slice(first, first + count) };
}

/** One chunk of a span that was scored. */
export function scoresOfChunk(
  { nll, base, records }: ScoreResult,
  chunk: number,
  scored: number,
): ChunkScores {
  const [from, to] = [chunk * scored, (chunk + 1) * scored];
  return {
    nll: nll.subarray(from, to),
    base: base && {
      nll: base.nll.subarray(from, to),
      kld: base.kld.subarray(from, to),
      sameTop: base.sameTop.subarray(from, to),
    },
    record: records?.[chunk],
  };
}

/** A model that is being run. */
export interface Session {
  readonly plan: DecoderPlan;
  readonly files: Descriptors;
  readonly activations: Activations;
  readonly pool: WorkerPool;
}

/** Opens the model's files and starts threads, for as long as `work` takes; it may open other models beside it. */
export async function withSession<T>(
  model: Model,
  { activations = DEFAULT_ACTIVATIONS, threads, signal }: ForwardOptions,
  work: (session: Session, open: (other: Model) => Session) => Promise<T>,
): Promise<T> {
  const pool = new WorkerPool(threads, chooseRelaxed());
  const stop = () => void pool.close();
  signal?.addEventListener("abort", stop, { once: true });
  const opened: number[] = [];
  const open = (one: Model): Session => {
    const files = one.container.files.map((file) => openSync(file, "r"));
    opened.push(...files);
    return { plan: planDecoder(one), files, activations, pool };
  };
  try {
    signal?.throwIfAborted();
    return await work(open(model), open);
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", stop);
    await pool.close();
    for (const file of opened) closeSync(file);
  }
}

/** What the blocks of a model need beside their weights, for chunks of one length. */
export interface Blocks {
  /** RoPE's table of each layer; undefined without RoPE. */
  readonly ropes: readonly (SharedArrayBuffer | undefined)[];
  /** Multiply-adds in each block, and in all of them, for one chunk. */
  readonly layerWork: readonly number[];
  readonly chunkWork: number;
}

export function prepareBlocks({ plan, files }: Session, context: number): Blocks {
  const positions = plan.position_embd && rowCount(plan.position_embd);
  if (positions !== undefined && context > positions) {
    throw new LlqError(
      "usage",
      `the model knows ${positions} positions; a context of ${context} is too long`,
      {
        hint: `--context ${positions}`,
      },
    );
  }
  const layerWork = plan.layers.map((layer) => matrixElements(layer) * context);
  return {
    ropes: ropesOf(plan, context, readDivisors(plan, context, files)),
    layerWork,
    chunkWork: layerWork.reduce((sum, work) => sum + work, 0),
  };
}

const ROPE: readonly Positions[] = ["neighbours", "halves", "prefixAndRest"];

/** Layers with a window may have a table of their own. */
function ropesOf(
  { hparams, traits, layers }: DecoderPlan,
  context: number,
  divisors: Float32Array | undefined,
): (SharedArrayBuffer | undefined)[] {
  if (!ROPE.includes(traits.positions)) return layers.map(() => undefined);
  const rope = ropeTable(hparams, context, divisors).buffer;
  if (traits.windowRopeBase === undefined) return layers.map(() => rope);
  const unscaled = {
    ...hparams,
    ropeFreqBase: traits.windowRopeBase,
    ropeScaling: { type: "none" },
    ropeAttnFactor: 1,
  } as const;
  const inWindow = ropeTable(unscaled, context, undefined).buffer;
  return layers.map((layer) =>
    layer.block === "transformer" && layer.attention.window > 0 ? inWindow : rope,
  );
}

/** Runs the chunks of a span through all blocks. With `onLayer`, collects what goes into the matrices. */
export async function runBlocks(
  session: Session,
  blocks: Blocks,
  span: Span,
  chunks: readonly Int32Array[],
  advance: (work: number) => void,
  onLayer?: (layer: number, squares: LayerSquares) => void,
): Promise<void> {
  await embedChunks(session, span, chunks);
  await runLayers(session, blocks, span, { first: 0, advance, onLayer });
}

/** The first hidden states of a span's chunks. */
export async function embedChunks(
  { plan, files, pool }: Session,
  span: Span,
  chunks: readonly Int32Array[],
): Promise<void> {
  const { token_embd, position_embd, traits } = plan;
  await pool.run({
    kind: "embed",
    files,
    span,
    token_embd,
    position_embd,
    scale: traits.embeddingScale,
    tokens: joinTokens(chunks),
  });
}

/** Some of the blocks, in order. */
export interface LayerRange {
  readonly first: number;
  /** The one after the last. Default: all. */
  readonly end?: number;
  readonly advance: (work: number) => void;
  readonly onLayer?: ((layer: number, squares: LayerSquares) => void) | undefined;
}

/** Runs the hidden states of a span through some of the blocks. */
export async function runLayers(
  { plan, files, activations, pool }: Session,
  { ropes, layerWork }: Blocks,
  span: Span,
  { first, end = plan.layers.length, advance, onLayer }: LayerRange,
): Promise<void> {
  const { hparams, traits, layers } = plan;
  const collect = onLayer !== undefined;
  for (let i = first; i < end; i++) {
    const [layer, rope] = [layers[i]!, ropes[i]];
    const job = { kind: "layer", files, activations, span, hparams, traits, layer, rope, collect } as const;
    const squares = await pool.run(job);
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

/** The span of these chunks, from the start of `hidden`. */
export function spanOf(
  { hparams }: DecoderPlan,
  hidden: SharedArrayBuffer,
  chunks: readonly Int32Array[],
): Span {
  const { embeddingLength: width, prefixTokens } = hparams;
  const prefixes = prefixTokens && chunks.map((chunk) => prefixOf(chunk, prefixTokens));
  return { hidden, first: 0, chunks: chunks.length, context: chunks[0]!.length, width, prefixes };
}

/** Cuts a group into spans and has each of them run; `firstChunk` counts from the start of the group. */
export async function runGroup(
  { plan, pool }: Session,
  { jobChunks, hidden }: GroupSize,
  group: readonly Int32Array[],
  runSpan: (firstChunk: number, span: Span, own: readonly Int32Array[]) => Promise<void>,
): Promise<void> {
  const step = Math.min(jobChunks, Math.ceil(group.length / Math.max(1, pool.threads)));
  // The pool takes jobs in order: every span does a layer before one does the next, yet none waits for all.
  const spans = Array.from({ length: Math.ceil(group.length / step) }, (_, i) => {
    const first = i * step;
    const own = group.slice(first, first + step);
    return runSpan(first, { ...spanOf(plan, hidden, own), first }, own);
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
  const { hparams } = plan;
  const workers = Math.max(1, pool.threads);
  const hidden = hiddenBytes(1, context, hparams.embeddingLength);
  const working = (chunks: number) => Math.max(layerMemory(plan, chunks, context), memoryAfterBlocks(chunks));
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

function matrixElements(layer: LayerPlan): number {
  const used = layer.block === "transformer" ? (layer.feedForward.mixture?.used ?? 0) : 0;
  const work = [...inputsOf(layer).values()].flatMap(({ matrices, experts }) =>
    matrices.map(({ weight }) => elementCount(weight.shape) * (experts > 0 ? used : 1)),
  );
  return work.reduce((sum, each) => sum + each, 0);
}

/** RoPE divisors of each pair, for models that have them. */
function readDivisors(plan: DecoderPlan, context: number, files: Descriptors): Float32Array | undefined {
  const isLong = context > plan.hparams.ropeOriginalContext;
  const divisors = plan.rope_freqs ?? (isLong ? plan.rope_factors_long : plan.rope_factors_short);
  if (divisors === undefined) return undefined;
  const kernels = new Kernels();
  const pairs = rowLength(divisors);
  const address = kernels.reserve(pairs * 4);
  readRowsF32(kernels, files, divisors, 0, 1, address);
  return kernels.floats(address, pairs);
}

/** The tokens of some chunks, one after the other. */
export function joinTokens(parts: readonly Int32Array[]): Int32Array {
  const joined = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
