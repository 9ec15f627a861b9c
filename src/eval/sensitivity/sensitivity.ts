import { byteLength } from "../../../formats/dtype.js";
import type { Model } from "../../model.js";
import { type Blocks, countWork, embedChunks, prepareBlocks, runLayers } from "../../net/blocks.js";
import { fitMemory, spanOf } from "../../net/group.js";
import type { DecoderPlan } from "../../net/plan/types.js";
import { type ForwardOptions, type Session, withSession } from "../../net/session.js";
import { batchTokens, hiddenBytes, hiddenStates, joinTokens, type Span } from "../../net/span.js";
import { headOf, outputSize } from "../perplexity/forward.js";
import { scoreJob, scoreMemory } from "../perplexity/score.js";
import { type Perturbation, Scratch } from "./perturb.js";

export interface SensitivityOptions extends Omit<ForwardOptions, "activations"> {
  /** A file for rounded tensors, while it lasts. */
  readonly scratch: string;
  /** Whether what a perturbation does to a chunk is known already. */
  readonly isDone: (perturbation: number, chunk: number) => boolean;
  /** Called once for each perturbation and chunk that are not done: the mean divergence over the chunk's tokens. */
  readonly onChunk: (perturbation: number, chunk: number, kld: number) => void;
  /** Called when the perturbations so far are finished, now and then. */
  readonly onBatch: () => void;
}

/** Where a perturbation first changes anything: the embedding, a block, or the output after them all. */
type Stage = "embedding" | number | "output";

/**
 * What each perturbation does to what the model says: the Kullback-Leibler divergence of the perturbed model from
 * the model itself, in f32, after every token of each chunk that another follows.
 *
 * The hidden states before a block are kept; a perturbation of the block starts from a copy of them, and only the
 * blocks from there on are run. Several perturbations of a block go through the model side by side, as many as
 * memory has room for, so that a model on the disk is read once for all of them. Nothing a chunk goes through
 * depends on what is beside it: results are the same for every number of threads.
 */
export async function measureSensitivity(
  model: Model,
  chunks: readonly Int32Array[],
  perturbations: readonly Perturbation[],
  options: SensitivityOptions,
): Promise<void> {
  await withSession(model, { ...options, activations: "f32" }, async (session) => {
    const scratch = new Scratch(options.scratch);
    try {
      const layout = planLayout(session, chunks, perturbations, options);
      const blocks = prepareBlocks(session, chunks[0]!.length);
      const advance = countWork(totalWork(session, blocks, chunks, perturbations, options), options);
      const measuring = { model, session, scratch, perturbations, layout, blocks, advance, options };
      for (let first = 0; first < chunks.length; first += layout.groupChunks) {
        const group = chunks.slice(first, first + layout.groupChunks);
        await measureGroup(measuring, { chunks: group, first });
      }
    } finally {
      scratch.close();
    }
  });
}

export function stageOf({ token_embd, head }: DecoderPlan, tensor: Perturbation["tensor"]): Stage {
  if (tensor.layer !== undefined) return tensor.layer;
  return tensor.name === head.output.name && tensor.name !== token_embd.name ? "output" : "embedding";
}

/** How the memory for hidden states is shared out. */
interface Layout {
  readonly hidden: SharedArrayBuffer;
  /** Chunks that are measured together. */
  readonly groupChunks: number;
  /** Chunks of a job. */
  readonly jobChunks: number;
  /** Perturbations that go through the model side by side. */
  readonly copies: number;
}

/** In the memory for hidden states: those before the block at hand, those after all blocks, then the copies. */
const [BEFORE, AFTER, COPIES] = [0, 1, 2];

function planLayout(
  session: Session,
  chunks: readonly Int32Array[],
  perturbations: readonly Perturbation[],
  options: SensitivityOptions,
): Layout {
  const context = chunks[0]!.length;
  const memory = (count: number) => 2 * scoreMemory(session.plan.head.output, count, context - 1);
  const stages = stagesOf(session.plan, perturbations);
  const most = Math.max(...[...stages.values()].map(({ length }) => length));
  const size = fitMemory(session, chunks.length * (COPIES + most), context, options, memory);
  const groupChunks = Math.max(1, Math.min(chunks.length, Math.floor(size.groupChunks / (COPIES + 1))));
  const copies = Math.max(1, Math.floor(size.groupChunks / groupChunks) - COPIES);
  const bytes = hiddenBytes((COPIES + copies) * groupChunks, context, session.plan.floats);
  // At least one copy, whatever it takes.
  const hidden = bytes <= size.hidden.byteLength ? size.hidden : new SharedArrayBuffer(bytes);
  return { hidden, groupChunks, jobChunks: size.jobChunks, copies };
}

/** The indices of the perturbations of each stage. */
function stagesOf(plan: DecoderPlan, perturbations: readonly Perturbation[]): Map<Stage, number[]> {
  const stages = new Map<Stage, number[]>();
  for (const [index, { tensor }] of perturbations.entries()) {
    const stage = stageOf(plan, tensor);
    stages.set(stage, [...(stages.get(stage) ?? []), index]);
  }
  return stages;
}

interface Measuring {
  readonly model: Model;
  readonly session: Session;
  readonly scratch: Scratch;
  readonly perturbations: readonly Perturbation[];
  readonly layout: Layout;
  readonly blocks: Blocks;
  readonly advance: (work: number) => void;
  readonly options: SensitivityOptions;
}

/** Chunks that are measured together; `first` is the number of the first. */
interface Group {
  readonly chunks: readonly Int32Array[];
  readonly first: number;
}

async function measureGroup(measuring: Measuring, group: Group): Promise<void> {
  const { session, perturbations, blocks, advance } = measuring;
  const layerCount = session.plan.layers.length;
  const stages = stagesOf(session.plan, perturbations);
  await inSpans(measuring, group, AFTER, async (span, chunks) => {
    await embedChunks(session, span, chunks);
    await runLayers(session, blocks, span, { first: 0, advance });
  });
  await measureStage(measuring, group, "embedding", stages.get("embedding"));
  await inSpans(measuring, group, BEFORE, (span, chunks) => embedChunks(session, span, chunks));
  for (let layer = 0; layer < layerCount; layer++) {
    await measureStage(measuring, group, layer, stages.get(layer));
    await inSpans(measuring, group, BEFORE, (span) =>
      runLayers(session, blocks, span, { first: layer, end: layer + 1, advance }),
    );
  }
  await measureStage(measuring, group, "output", stages.get("output"));
}

/** The perturbations that begin at a stage, as many at a time as there is room for. */
async function measureStage(
  measuring: Measuring,
  group: Group,
  stage: Stage,
  indices: readonly number[] = [],
): Promise<void> {
  const { model, session, scratch, perturbations, layout, options } = measuring;
  const isDone = (index: number) => group.chunks.every((_, i) => options.isDone(index, group.first + i));
  const left = indices.filter((index) => !isDone(index));
  for (let first = 0; first < left.length; first += layout.copies) {
    const batch = left.slice(first, first + layout.copies);
    let offset = 0;
    const perturbed = await Promise.all(
      batch.map((index) => {
        const perturbation = perturbations[index]!;
        const at = offset;
        offset += byteLength(perturbation.dtype, perturbation.tensor.shape);
        return scratch.perturb(session, model, perturbation, at);
      }),
    );
    await Promise.all(
      batch.map((index, i) =>
        measureOne(measuring, group, { stage, index, perturbed: perturbed[i]!, copy: i }),
      ),
    );
    options.onBatch();
  }
}

/** A perturbation on its way through the model. */
interface Run {
  readonly stage: Stage;
  readonly index: number;
  readonly perturbed: Session;
  /** Which of the copies of the hidden states is its own. */
  readonly copy: number;
}

async function measureOne(
  measuring: Measuring,
  group: Group,
  { stage, index, perturbed, copy }: Run,
): Promise<void> {
  const { session, blocks, advance, options } = measuring;
  const scoreWork = scoringWork(session);
  const region = stage === "output" ? AFTER : COPIES + copy;
  await inSpans(measuring, group, region, async (span, chunks, first) => {
    if (stage === "embedding") {
      await embedChunks(perturbed, span, chunks);
      await runLayers(perturbed, blocks, span, { first: 0, advance });
    } else if (stage !== "output") {
      hiddenStates(span).set(hiddenStates(spanIn(measuring.layout, span, BEFORE, first)));
      await runLayers(perturbed, blocks, span, { first: stage, end: stage + 1, advance });
      await runLayers(session, blocks, span, { first: stage + 1, advance });
    }
    const base = {
      form: "model",
      head: headOf(session),
      span: spanIn(measuring.layout, span, AFTER, first),
    } as const;
    const targets = joinTokens(chunks.map((chunk) => chunk.subarray(1)));
    const scores = await session.pool.run(scoreJob, {
      ...headOf(perturbed),
      span,
      firstPosition: 0,
      targets,
      base,
    });
    const { kld } = scores.base!;
    const scored = kld.length / chunks.length;
    for (let i = 0; i < chunks.length; i++) {
      const own = kld.subarray(i * scored, (i + 1) * scored);
      options.onChunk(index, group.first + first + i, own.reduce((sum, value) => sum + value, 0) / scored);
    }
    advance(scoreWork * batchTokens(span));
  });
}

/** The same chunks in another region of the hidden states. */
function spanIn({ groupChunks }: Layout, span: Span, region: number, first: number): Span {
  return { ...span, first: region * groupChunks + first };
}

/** Has the group's chunks worked on, some at a time; `first` counts from the start of the group. */
async function inSpans(
  { session, layout }: Measuring,
  { chunks }: Group,
  region: number,
  runSpan: (span: Span, own: readonly Int32Array[], first: number) => Promise<void>,
): Promise<void> {
  const { hidden, groupChunks, jobChunks } = layout;
  const spans = Array.from({ length: Math.ceil(chunks.length / jobChunks) }, (_, i) => {
    const first = i * jobChunks;
    const own = chunks.slice(first, first + jobChunks);
    const span = { ...spanOf(session.plan, hidden, own), first: region * groupChunks + first };
    return runSpan(span, own, first);
  });
  await Promise.all(spans);
}

/** Multiply-adds for a token's distribution, the model's and the perturbed one's. */
function scoringWork(session: Session): number {
  return 2 * outputSize(session);
}

function totalWork(
  session: Session,
  { layerWork, chunkWork }: Blocks,
  chunks: readonly Int32Array[],
  perturbations: readonly Perturbation[],
  { isDone }: SensitivityOptions,
): number {
  const scoreWork = scoringWork(session) * chunks[0]!.length;
  const blocksFrom = (first: number) => layerWork.slice(first).reduce((sum, work) => sum + work, 0);
  const work = perturbations.map(({ tensor }, index) => {
    const left = chunks.filter((_, chunk) => !isDone(index, chunk)).length;
    const stage = stageOf(session.plan, tensor);
    const first = stage === "embedding" ? 0 : stage === "output" ? layerWork.length : stage;
    return left * (blocksFrom(first) + scoreWork);
  });
  return work.reduce((sum, each) => sum + each, 2 * chunks.length * chunkWork);
}
