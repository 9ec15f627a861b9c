import { statSync } from "#host/files";
import { byteLength, elementCount } from "../../../formats/dtype.js";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { type Activations, DEFAULT_ACTIVATIONS } from "../../net/products/matmul.js";
import type { MeasureOptions } from "../../net/session.js";
import { storedType } from "../../rows/packed/index.js";
import { measureDeviations, type TensorDeviation } from "../../run/measure/deviations.js";
import { divergenceHistogram, type Histogram } from "../divergence/histogram.js";
import type { Divergence } from "../divergence/kld.js";
import { cutChunks } from "../perplexity/chunks.js";
import { checkVocabulary } from "../perplexity/perplexity.js";
import { chooseProtocol, type Protocol } from "../perplexity/protocol.js";
import type { Estimate } from "../perplexity/statistics.js";
import { Tally } from "../perplexity/tally.js";
import { scoreCandidates, type Timings } from "./candidates.js";

export interface CompareOptions extends Omit<MeasureOptions, "onProgress"> {
  /** Tokens in a chunk. Default 512. */
  readonly context?: number | undefined;
  /** Chunks to evaluate, from the start of the text. Default: all. */
  readonly chunks?: number | undefined;
  /** The token that begins the models' texts, if one does. */
  readonly bos?: number | undefined;
  readonly onProgress?: ((stage: "weights" | "text", done: number, total: number) => void) | undefined;
}

export interface ModelComparison {
  readonly protocol: Protocol;
  /** What met quantized weights. */
  readonly activations: Activations;
  readonly chunks: number;
  /** Scored tokens. */
  readonly count: number;
  readonly base: MeasuredModel;
  readonly candidates: readonly ComparedModel[];
  readonly seconds: number;
}

export interface MeasuredModel {
  readonly path: string;
  /** Of its files. */
  readonly fileBytes: number;
  readonly bitsPerWeight: number;
  /** What its matrices are stored in, that of the most weights first. */
  readonly types: readonly string[];
  readonly ppl: Estimate;
  /** Tokens evaluated, scored or not, a second. */
  readonly tokensPerSecond: number;
}

export interface ComparedModel extends MeasuredModel {
  readonly divergence: Divergence;
  readonly histogram: Histogram;
  readonly parts: readonly PartDeviation[];
}

/** How far the weights of a layer, or of a matrix outside all layers, are from the base's. */
export interface PartDeviation {
  /** The number of the layer, from 0, or the role of the matrix. */
  readonly part: number | "token_embd" | "output";
  /** sqrt(Σ(w - ŵ)² / Σw²), over all tensors of the part. */
  readonly relativeError: number;
  readonly tensors: readonly TensorError[];
}

export interface TensorError {
  readonly name: string;
  readonly dtype: string;
  readonly relativeError: number;
}

/**
 * Measures several models on one text against a base: how large they are, how well they predict, how far their
 * distributions and their weights are from the base's. What is said of the text equals what evaluatePerplexity says
 * of each with the base beside it.
 * @param tokens the whole text, beginning with bos if the models want one
 * @throws LlqError as evaluatePerplexity; `usage` without candidates
 */
export async function compareModels(
  base: Model,
  candidates: readonly Model[],
  tokens: Int32Array,
  options: CompareOptions = {},
): Promise<ModelComparison> {
  if (candidates.length === 0) throw new LlqError("usage", t`nothing to compare ${base.path} with`);
  const started = performance.now();
  const { bos, fast, threads, signal, onProgress, maxMemory, activations = DEFAULT_ACTIVATIONS } = options;
  const protocol = chooseProtocol({ context: options.context, bos });
  const { context, firstPosition } = protocol;
  const chunks = cutChunks(base, tokens, { context, bos, chunks: options.chunks });
  for (const candidate of candidates) checkVocabulary(candidate, base);
  const watch = (stage: "weights" | "text") => (done: number, total: number) =>
    onProgress?.(stage, done, total);
  const deviations = await measureDeviations(base, candidates, {
    threads,
    signal,
    onProgress: watch("weights"),
  });
  const order = chunks.map((_, i) => i);
  const tallies = candidates.map(({ path }) => new Tally(path, order));
  const seconds = await scoreCandidates(base, candidates, chunks, {
    ...{ firstPosition, activations, fast, threads, maxMemory, signal },
    onProgress: watch("text"),
    onChunk: (candidate, chunk, scores) => tallies[candidate]!.add(chunk, scores),
  });
  const spent = (performance.now() - started) / 1000;
  return conclude({
    ...{ protocol, activations, chunks: chunks.length, timed: chunks.length, seconds: spent, times: seconds },
    base: describe(base),
    candidates: candidates.map(describe),
    ...{ tallies, deviations },
  });
}

/** All that was measured, of any number of runs. */
export interface Measured {
  readonly protocol: Protocol;
  readonly activations: Activations;
  readonly chunks: number;
  readonly base: DescribedModel;
  readonly candidates: readonly DescribedModel[];
  /** Of each candidate. */
  readonly tallies: readonly Tally[];
  readonly deviations: readonly (readonly TensorDeviation[])[];
  /** How long each model took, and for how many chunks. */
  readonly times: Timings;
  readonly timed: number;
  readonly seconds: number;
}

/** What it comes to. */
export function conclude(measured: Measured): ModelComparison {
  const { protocol, activations, chunks, base, candidates, tallies, times, seconds } = measured;
  const rate = (spent: number) => (measured.timed * protocol.context) / spent;
  const compared = candidates.map(({ roles, ...model }, i): ComparedModel => {
    const { ppl, error, divergence } = tallies[i]!.result();
    return {
      ...model,
      ppl: { value: ppl, error },
      tokensPerSecond: rate(times.candidates[i]!),
      divergence: divergence!,
      histogram: divergenceHistogram(tallies[i]!.divergences()),
      parts: sumParts(roles, measured.deviations[i]!),
    };
  });
  const { basePpl, tokens: count } = compared[0]!.divergence;
  const { roles: _, ...about } = base;
  return {
    ...{ protocol, activations, chunks, count },
    base: { ...about, ppl: basePpl, tokensPerSecond: rate(times.base) },
    candidates: compared,
    seconds,
  };
}

/** What a model's files say. Plain data. */
export interface DescribedModel extends Omit<MeasuredModel, "ppl" | "tokensPerSecond"> {
  /** Of its matrices outside all layers. */
  readonly roles: Readonly<Record<string, string>>;
}

export function describe({ path, container, tensors }: Model): DescribedModel {
  const fileBytes = container.files.reduce((sum, file) => sum + statSync(file).size, 0);
  const bytes = tensors.reduce((sum, { dtype, shape }) => sum + byteLength(dtype, shape), 0);
  const weights = tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const outside = tensors.filter(({ layer }) => layer === undefined);
  return {
    ...{ path, fileBytes, bitsPerWeight: (8 * bytes) / weights, types: typesOf(tensors) },
    roles: Object.fromEntries(outside.map(({ name, role }) => [name, role])),
  };
}

function typesOf(tensors: Model["tensors"]): string[] {
  const weights = new Map<string, number>();
  for (const tensor of tensors) {
    if (tensor.shape.length < 2) continue;
    const type = storedType(tensor);
    weights.set(type, (weights.get(type) ?? 0) + elementCount(tensor.shape));
  }
  return [...weights].sort((a, b) => b[1] - a[1]).map(([type]) => type);
}

/** In the order of the computation; vectors outside all layers (norms) are left out. */
function sumParts(roles: DescribedModel["roles"], deviations: readonly TensorDeviation[]): PartDeviation[] {
  const partOf = ({ name, layer }: TensorDeviation) => layer ?? roles[name];
  const layers = [...new Set(deviations.flatMap(({ layer }) => layer ?? []))].sort((a, b) => a - b);
  return (["token_embd", ...layers, "output"] as const).flatMap((part) => {
    const own = deviations.filter((deviation) => partOf(deviation) === part);
    if (own.length === 0) return [];
    const sum = (of: (deviation: TensorDeviation) => number) =>
      own.reduce((total, deviation) => total + of(deviation), 0);
    return {
      part,
      relativeError: relative(
        sum(({ squaredError }) => squaredError),
        sum(({ squaredSum }) => squaredSum),
      ),
      tensors: own.map(({ name, dtype, squaredError, squaredSum }) => ({
        name,
        dtype,
        relativeError: relative(squaredError, squaredSum),
      })),
    };
  });
}

/** Of weights that are all 0 in the base, any error is infinitely large. */
function relative(squaredError: number, squaredSum: number): number {
  return squaredError === 0 ? 0 : Math.sqrt(squaredError / squaredSum);
}
