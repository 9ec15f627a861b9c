import { type ImatrixSums, openImatrixSums } from "../../../formats/imatrix/imatrix.js";
import { datFile } from "../../../formats/imatrix/imatrix-dat.js";
import { type ImatrixPart, mergeImatrices } from "../../../formats/imatrix/imatrix-merge.js";
import { imatrixFile } from "../../../formats/imatrix/imatrix-write.js";
import type { Model } from "../../model.js";
import { claimOutputs, journalPath } from "../../run/write/claim.js";
import { isResumable, withResumeHint, writeOutput } from "../../run/write/output.js";
import { removeCheckpoint } from "./checkpoint.js";
import {
  type ComputedImatrix,
  computeImatrix,
  DEFAULT_CONTEXT,
  emptyImatrix,
  type ImatrixOptions,
} from "./imatrix.js";

/** A model, and a text to run through it. */
export interface ImatrixSource {
  readonly model: Model;
  /** The text's file. */
  readonly text: string;
  /** The whole text, beginning with bos if the model wants one. */
  readonly tokens: Int32Array;
}

export type ImatrixForm = "gguf" | "dat";

export function formOf(output: string): ImatrixForm {
  return /\.dat$/i.test(output) ? "dat" : "gguf";
}

export interface WriteImatrixOptions extends Omit<ImatrixOptions, "checkpoint" | "dataset"> {
  /** Files of importance matrices to add. */
  readonly merge?: readonly string[] | undefined;
  /** llama.cpp's GGUF form, or its older one. Default: the older for a name that ends in .dat. */
  readonly form?: ImatrixForm | undefined;
  /** Replace an output that exists. */
  readonly force?: boolean | undefined;
}

export interface WrittenImatrix {
  readonly output: string;
  readonly byteLength: number;
  /** How many matrices it is for. */
  readonly entries: number;
  readonly datasets: readonly string[];
  readonly chunks: number;
  readonly chunkSize: number;
  /** What was computed; undefined when files were merged only. */
  readonly computed: ComputedImatrix | undefined;
}

/**
 * Computes an importance matrix, or adds those of `merge`, or both, and writes it in a form of llama.cpp's. What
 * is done of the computing stays beside the output when it is stopped, for `resume`.
 * @throws LlqError as computeImatrix; `usage` for an output that exists or is an input, `no-space` for a full disk,
 * `bad-input` for files that are damaged or of different models
 */
export async function writeImatrix(
  output: string,
  source: ImatrixSource | undefined,
  options: WriteImatrixOptions,
): Promise<WrittenImatrix> {
  const { merge = [], force = false } = options;
  const inputs = source === undefined ? [] : [...source.model.container.files, source.text];
  const claim = claimOutputs([output], { inputs: [...inputs, ...merge], force });
  try {
    return await writeClaimed(output, source, options);
  } finally {
    claim.release();
  }
}

async function writeClaimed(
  output: string,
  source: ImatrixSource | undefined,
  options: WriteImatrixOptions,
): Promise<WrittenImatrix> {
  const { merge = [], force = false } = options;
  const parts: ImatrixPart[] = merge.map((name) => ({ name, imatrix: openImatrixSums(name) }));
  const context = options.context ?? (source ? DEFAULT_CONTEXT : chunkSizeOf(parts));
  const checkpoint = journalPath(output);
  let computed: ComputedImatrix | undefined;
  if (source !== undefined) {
    const name = source.model.path;
    // Better now than after hours.
    mergeImatrices([...parts, { name, imatrix: emptyImatrix(source.model, options) }], context);
    computed = await compute(source, { ...options, context, checkpoint });
    parts.push({ name, imatrix: computed });
  }
  const imatrix = mergeImatrices(parts, context);
  const bytes = imatrixBytes(imatrix, options.form ?? formOf(output));
  writeOutput(output, bytes, force);
  removeCheckpoint(checkpoint);
  const { entries, datasets, chunks } = imatrix;
  const { length: byteLength } = bytes;
  return { output, byteLength, entries: entries.size, datasets, chunks, chunkSize: context, computed };
}

async function compute(
  { model, text, tokens }: ImatrixSource,
  options: ImatrixOptions & { readonly checkpoint: string },
): Promise<ComputedImatrix> {
  const { checkpoint } = options;
  if (!options.resume) removeCheckpoint(checkpoint);
  try {
    return await computeImatrix(model, tokens, { ...options, dataset: text });
  } catch (error) {
    throw isResumable(error) ? withResumeHint(error, checkpoint) : error;
  }
}

/** The tokens in a chunk that the files speak of; .dat files do not. */
function chunkSizeOf(parts: readonly ImatrixPart[]): number {
  const sizes = parts.map(({ imatrix }) => imatrix.chunkSize ?? 0);
  return sizes.find((size) => size > 0) ?? DEFAULT_CONTEXT;
}

/** The whole file. */
export function imatrixBytes(imatrix: ImatrixSums, form: ImatrixForm): Uint8Array {
  return form === "dat" ? datFile(imatrix) : imatrixFile(imatrix);
}
