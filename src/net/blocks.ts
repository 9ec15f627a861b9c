import { elementCount } from "../../formats/dtype.js";
import { LlqError } from "../../formats/errors.js";
import { Kernels } from "../kernels/kernels.js";
import { t } from "../language/t.js";
import { type Descriptors, readRowsF32 } from "../rows/rows.js";
import type { WorkerPool } from "../run/threads/pool.js";
import { rowCount, rowLength } from "../tensor.js";
import { embedJob } from "./embed.js";
import { inputsOf } from "./inputs.js";
import { type LayerJob, type LayerResult, layerJob } from "./layer.js";
import { ropeTable } from "./mixers/rope.js";
import type { DecoderPlan, LayerPlan, RopePlan } from "./plan/types.js";
import type { ForwardOptions, Session } from "./session.js";
import { joinTokens, type Span } from "./span.js";
import type { LayerSquares } from "./squares.js";
import { statesOf } from "./streams.js";
import type { Meeting } from "./team/exchange.js";

/** What the blocks of a model need beside their weights, for chunks of one length. */
export interface Blocks {
  /** RoPE's table of each layer; undefined without RoPE. */
  readonly ropes: readonly (SharedArrayBuffer | undefined)[];
  /** Multiply-adds in each block, and in all of them, for one chunk. */
  readonly layerWork: readonly number[];
  readonly chunkWork: number;
}

export function prepareBlocks({ plan, files }: Session, context: number): Blocks {
  checkPositions(plan, context);
  const layerWork = plan.layers.map((layer) => matrixElements(layer) * context);
  return {
    ropes: ropesOf(plan, files, context),
    layerWork,
    chunkWork: layerWork.reduce((sum, work) => sum + work, 0),
  };
}

/** @throws LlqError `usage` for a context beyond the positions that the model has learned */
export function checkPositions({ position_embd }: DecoderPlan, context: number): void {
  const positions = position_embd && rowCount(position_embd);
  if (positions === undefined || context <= positions) return;
  throw new LlqError(
    "usage",
    t`the model knows ${positions} positions; a context of ${context} is too long`,
    {
      hint: t`--context ${positions}`,
    },
  );
}

/** Angles for each RoPE that layers have, in the layers' order; one table where they share a plan. */
export function ropesOf(
  { layers }: DecoderPlan,
  files: Descriptors,
  context: number,
): (SharedArrayBuffer | undefined)[] {
  const tables = new Map<RopePlan, SharedArrayBuffer>();
  return layers.map(({ mixer }) => {
    const { rope } = mixer.plan;
    if (rope === undefined) return undefined;
    const table = tables.get(rope) ?? ropeTable(rope, context, readDivisors(rope, context, files)).buffer;
    tables.set(rope, table);
    return table;
  });
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
  { plan, files, activations, pool }: Session,
  span: Span,
  chunks: readonly Int32Array[],
): Promise<void> {
  const { token_embd, position_embd, embeddingScale, embeddingNorm, expand } = plan;
  const embedding = { token_embd, position_embd, embeddingScale, embeddingNorm, expand };
  await pool.run(embedJob, { files, activations, span, ...embedding, tokens: joinTokens(chunks) });
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
  const { layers } = plan;
  const collect = onLayer !== undefined;
  for (let i = first; i < end; i++) {
    const [layer, rope] = [layers[i]!, ropes[i]];
    const states = statesOf(plan);
    const job = { files, activations, span, states, layer, rope, inputs: plan.layerInputs, collect } as const;
    const squares = await (span.meeting === undefined
      ? pool.run(layerJob, job)
      : runTogether(pool, job, span.meeting));
    if (squares !== undefined) onLayer?.(i, squares);
    advance(layerWork[i]! * span.chunks);
  }
}

/** Has every thread of the pool do its share of a job. */
async function runTogether(pool: WorkerPool, job: LayerJob, meeting: Meeting): Promise<LayerResult> {
  const jobs = Array.from({ length: pool.threads }, (_, thread) => ({ ...job, place: { meeting, thread } }));
  const [first] = await pool.runOnEach(layerJob, jobs);
  return first;
}

/** Tells of work as it is done. */
export function countWork(total: number, { onProgress }: ForwardOptions): (work: number) => void {
  let done = 0;
  return (work) => {
    done += work;
    onProgress?.(done, total);
  };
}

function matrixElements(layer: LayerPlan): number {
  const used = layer.feedForward?.plan.mixture?.used ?? 0;
  const work = [...inputsOf(layer).values()].flatMap(({ matrices, experts }) =>
    matrices.map(({ weight }) => elementCount(weight.shape) * (experts > 0 ? used : 1)),
  );
  return work.reduce((sum, each) => sum + each, 0);
}

/** RoPE divisors of each pair, for models that have them. */
function readDivisors(rope: RopePlan, context: number, files: Descriptors): Float32Array | undefined {
  const divisors = context > rope.ropeOriginalContext ? rope.divisors.long : rope.divisors.short;
  if (divisors === undefined) return undefined;
  const kernels = new Kernels();
  const pairs = rowLength(divisors);
  const address = kernels.reserve(pairs * 4);
  readRowsF32(kernels, files, divisors, 0, 1, address);
  return kernels.floats(address, pairs);
}
