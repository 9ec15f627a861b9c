import { badInput } from "../../../formats/errors.js";
import type { Imatrix } from "../../../formats/imatrix/imatrix.js";
import type { Model } from "../../model.js";
import { inputsOf } from "../../net/inputs.js";
import { planDecoder } from "../../net/plan/decoder.js";
import { rowLength } from "../../tensor.js";
import { cutChunks, spreadChunks } from "../perplexity/chunks.js";

export const DEFAULT_TOKENS = 32_768;
export const DEFAULT_CONTEXT = 512;

/** Chunks that there are at least of a short text, so that some can be kept out. */
const CHUNKS = 16;
const SHORTEST = 16;

export interface TextOptions {
  /** Tokens to take. */
  readonly tokens: number;
  /** Tokens in a chunk. Default: 512, fewer where the model or the text has not as many. */
  readonly context?: number | undefined;
  readonly bos?: number | undefined;
}

/**
 * Chunks to calibrate on, from all over a text.
 * @throws LlqError `bad-input` for a text of fewer than two chunks of 16 tokens
 */
export function calibrationChunks(
  model: Model,
  tokens: Int32Array,
  { tokens: wanted, context, bos }: TextOptions,
): Int32Array[] {
  if (tokens.length < 2 * SHORTEST) {
    const message = `the text has ${tokens.length} tokens; calibration needs ${2 * SHORTEST} at the very least`;
    throw badInput(message, "take some ten thousand tokens of text like what the model will be used on");
  }
  const taken = Math.min(wanted, tokens.length);
  const fitting = Math.max(SHORTEST, Math.floor(taken / CHUNKS));
  const length = context ?? Math.min(DEFAULT_CONTEXT, model.hparams.contextLength, fitting);
  const all = cutChunks(model, tokens, { context: length, bos });
  return spreadChunks(all, Math.max(2, Math.floor(wanted / length)));
}

/**
 * An importance matrix before any text, of the matrices that calibration will have importances of: types are chosen as
 * with one.
 */
export function unknownImatrix(model: Model, file: string, chunks: number): Imatrix {
  const { layers, head } = planDecoder(model);
  const entries = new Map<string, Float32Array>();
  for (const layer of layers) {
    for (const { matrices, columns, experts } of inputsOf(layer).values()) {
      for (const { weight } of matrices) {
        entries.set(weight.name, new Float32Array(Math.max(1, experts) * columns).fill(1));
      }
    }
  }
  entries.set(head.output.name, new Float32Array(rowLength(head.output)).fill(1));
  return { file, entries, datasets: [file], chunks };
}
