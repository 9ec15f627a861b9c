import { badInput } from "../../../formats/errors.js";
import type { ImatrixSums } from "../../../formats/imatrix/imatrix.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { type InputPlan, inputsOf } from "../../net/inputs.js";
import { planDecoder } from "../../net/plan/decoder.js";
import { DEFAULT_ACTIVATIONS } from "../../net/products/matmul.js";
import type { ForwardOptions } from "../../net/session.js";
import { cutChunks } from "../perplexity/chunks.js";
import { hashWork, readCheckpoint, writeCheckpoint } from "./checkpoint.js";
import { collectSquares } from "./collect.js";
import { outputInputs } from "./output-squares.js";
import { Totals } from "./totals.js";

export interface ImatrixOptions extends Omit<ForwardOptions, "onProgress"> {
  /** Tokens in a chunk. Default 512. */
  readonly context?: number | undefined;
  /** Chunks to run, from the first of them on. Default: all. */
  readonly chunks?: number | undefined;
  /** Chunks of the text to leave out before the first that is run. */
  readonly fromChunk?: number | undefined;
  /** Of the output matrix, too, where a model has one of its own: llama.cpp knows none of a tied embedding. */
  readonly output?: boolean | undefined;
  /** The token that takes the place of the first of each chunk, for models whose texts begin with one. */
  readonly bos?: number | undefined;
  /** What the text is called in the result. */
  readonly dataset?: string | undefined;
  /** The file that keeps what is done, about once a minute; nothing is kept when absent. */
  readonly checkpoint?: string | undefined;
  /** Go on from the checkpoint, if there is one. */
  readonly resume?: boolean | undefined;
  readonly onProgress?: ((progress: ImatrixProgress) => void) | undefined;
}

export interface ImatrixProgress {
  /** Multiply-adds done, and all there are to do; without what an earlier run did. */
  readonly done: number;
  readonly total: number;
  readonly tokensPerSecond: number;
}

export interface ComputedImatrix extends ImatrixSums {
  readonly chunkSize: number;
  /** Chunks that an earlier run had done. */
  readonly resumed: number;
  readonly seconds: number;
  readonly tokensPerSecond: number;
}

export const DEFAULT_CONTEXT = 512;
const KIND = "imatrix 1";

/**
 * The importance matrix of a model on a text, as llama-imatrix computes it: the tokens are cut into chunks of
 * `context`, what is left over is dropped; for every column of every matrix in the blocks, the squares of what goes
 * in are added up over all tokens. Here in f64: those of a chunk token by token, then chunk after chunk, so that
 * neither threads nor interruptions change a bit.
 * @param tokens the whole text, beginning with bos if the model wants one
 * @throws LlqError `bad-input` for a text of fewer than two chunks, tokens beyond the vocabulary, or activations
 * that are no finite numbers; `usage` for a checkpoint of other work
 */
export async function computeImatrix(
  model: Model,
  tokens: Int32Array,
  options: ImatrixOptions = {},
): Promise<ComputedImatrix> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const { context = DEFAULT_CONTEXT, bos, checkpoint, dataset, activations = DEFAULT_ACTIVATIONS } = options;
  const chunks = cutChunks(model, tokensFrom(tokens, options), { context, chunks: options.chunks, bos });
  const output = options.output === true && hasOutput(model);
  const print = hashWork(model, chunks)
    .update(`${activations}${output ? " output" : ""}`)
    .digest("hex");
  const kept =
    checkpoint !== undefined && options.resume ? readCheckpoint(checkpoint, KIND, print) : undefined;
  const totals = new Totals(model.path, inputsOfModel(model, output), kept);
  const resumed = kept?.chunks ?? 0;
  const total = (chunks.length - resumed) * context;
  const { threads, maxMemory, signal, onProgress } = options;
  await collectSquares(model, chunks, {
    activations,
    threads,
    maxMemory,
    signal,
    firstChunk: resumed,
    output,
    onLayer: (layer, chunk, count, squares) => totals.add(layer, chunk, count, squares),
    onGroup: () => {
      if (checkpoint !== undefined) writeCheckpoint(checkpoint, KIND, print, totals.state);
    },
    onProgress: (done, all) => {
      onProgress?.({ done, total: all, tokensPerSecond: ((done / all) * total) / seconds() });
    },
  });
  return {
    entries: totals.entries(context),
    datasets: dataset === undefined ? [] : [dataset],
    chunks: chunks.length,
    chunkSize: context,
    resumed,
    seconds: seconds(),
    tokensPerSecond: total / seconds(),
  };
}

/** @throws LlqError `bad-input` when fewer than two chunks are left */
export function tokensFrom(
  tokens: Int32Array,
  { context = DEFAULT_CONTEXT, fromChunk = 0 }: Pick<ImatrixOptions, "context" | "fromChunk">,
): Int32Array {
  const first = fromChunk * context;
  if (first === 0 || tokens.length >= first + 2 * context) return tokens.subarray(first);
  const all = Math.floor(tokens.length / context);
  throw badInput(
    t`the text has ${all} chunks of ${context} tokens; from chunk ${fromChunk} on there are fewer than two`,
    all < 2
      ? t`take a longer text or a shorter context`
      : t`--from-chunk ${all - 2} is the last there can be`,
  );
}

/** Whether the model has an output matrix that is not its embedding. */
export function hasOutput(model: Model): boolean {
  return planDecoder(model).head.output.role === "output";
}

/** The inputs of each layer, and of the output matrix behind them. */
export function inputsOfModel(model: Model, output: boolean): ReadonlyMap<string, InputPlan>[] {
  const { layers, head } = planDecoder(model);
  return [...layers.map(inputsOf), ...(output ? [outputInputs(head)] : [])];
}

/** The importance matrix of a model before any text. */
export function emptyImatrix(model: Model, { output = false }: Pick<ImatrixOptions, "output">): ImatrixSums {
  const totals = new Totals(model.path, inputsOfModel(model, output && hasOutput(model)), undefined);
  return { entries: totals.entries(0), datasets: [], chunks: 0, chunkSize: 0 };
}
