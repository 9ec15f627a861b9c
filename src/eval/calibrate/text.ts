import { badInput } from "../../../formats/errors.js";
import type { Imatrix } from "../../../formats/imatrix/imatrix.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { inputsOf } from "../../net/inputs.js";
import { planDecoder } from "../../net/plan/decoder.js";
import { rowLength } from "../../tensor.js";
import { cutChunks, spreadChunks } from "../perplexity/chunks.js";
import { drawTokens, newsOf } from "./drawn.js";

export const DEFAULT_TOKENS = 32_768;
export const DEFAULT_CONTEXT = 512;

/** Chunks that there are at least of a short text, so that some can be kept out, as long as they are no shorter than that. */
const CHUNKS = 8;
const SHORTEST = 64;
/** Tokens of a text at the very least. */
const LEAST_TOKENS = 32;

/** Of a chunk's tokens, those that say something new at least; else it is left out. */
const LEAST_NEWS = 1 / 8;

/** What to calibrate on, in chunks of one length. */
export interface CalibrationChunks {
  readonly text: readonly Int32Array[];
  /** Tokens drawn from the vocabulary, for what the text is short of. */
  readonly drawn: readonly Int32Array[];
}

export interface TextOptions {
  /** Tokens to take. */
  readonly tokens: number;
  /** Tokens in a chunk. Default: 512, fewer where the model or the text has not as many. */
  readonly context?: number | undefined;
  readonly bos?: number | undefined;
}

/**
 * Chunks to calibrate on, from all over a text, without those that say what others have said. Where there are fewer than
 * wanted, tokens drawn by chance make up for them.
 * @throws LlqError `bad-input` for a text of fewer than 32 tokens, or than two chunks
 */
export function calibrationChunks(
  model: Model,
  tokens: Int32Array,
  { tokens: wanted, context, bos }: TextOptions,
): CalibrationChunks {
  if (tokens.length < LEAST_TOKENS) {
    const message = t`the text has ${tokens.length} tokens; calibration needs ${LEAST_TOKENS} at the very least`;
    throw badInput(message, t`take some ten thousand tokens of text like what the model will be used on`);
  }
  const taken = Math.min(wanted, tokens.length);
  const fitting = Math.max(Math.min(SHORTEST, Math.floor(taken / 2)), Math.floor(taken / CHUNKS));
  const length = context ?? Math.min(DEFAULT_CONTEXT, model.hparams.contextLength, fitting);
  const count = Math.max(2, Math.floor(wanted / length));
  const found = spreadChunks(cutChunks(model, tokens, { context: length, bos }), count);
  const news = newsOf(found);
  const text = found.filter((_, i) => i === 0 || news[i]! >= LEAST_NEWS * length);
  const lacking = drawTokens(model, (count - text.length) * length);
  if (count - text.length < 2 || lacking.length === 0) return { text, drawn: [] };
  return { text, drawn: cutChunks(model, lacking, { context: length, bos }) };
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
