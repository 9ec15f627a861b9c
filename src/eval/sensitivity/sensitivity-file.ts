import type { DTypeName } from "../../../formats/dtype.js";
import { badInput } from "../../../formats/errors.js";
import type { Imatrix } from "../../../formats/imatrix/imatrix.js";
import { type Sensitivity, sensitivityFile } from "../../../formats/sensitivity.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import type { ForwardOptions } from "../../net/session.js";
import { importancesOf, takesWeights } from "../../quant/importance.js";
import { candidatesFor, rounds } from "../../quant/recipes/candidates.js";
import { isQuantizable } from "../../quant/recipes/choose.js";
import { claimOutputs, journalPath } from "../../run/write/claim.js";
import { imatrixFingerprint, modelFingerprint } from "../../run/write/fingerprint.js";
import { isResumable, withResumeHint, writeOutput } from "../../run/write/output.js";
import { hashWork, readCheckpoint, removeCheckpoint, writeCheckpoint } from "../imatrix/checkpoint.js";
import { cutChunks, spreadChunks } from "../perplexity/chunks.js";
import type { Perturbation } from "./perturb.js";
import { measureSensitivity } from "./sensitivity.js";

/** A model, and a text to run through it. */
export interface SensitivitySource {
  readonly model: Model;
  /** The text's file. */
  readonly text: string;
  /** The whole text, beginning with bos if the model wants one. */
  readonly tokens: Int32Array;
}

export interface WriteSensitivityOptions extends Omit<ForwardOptions, "activations"> {
  /** Tokens in a chunk. Default 512. */
  readonly context?: number | undefined;
  /** Chunks to run, taken from all over the text. Default 8. */
  readonly chunks?: number | undefined;
  /** The token that takes the place of the first of each chunk, for models whose texts begin with one. */
  readonly bos?: number | undefined;
  /** Types to round each tensor to. Default: Q3_K. What others do is in proportion to their errors. */
  readonly types?: readonly DTypeName[] | undefined;
  readonly imatrix?: Imatrix | undefined;
  /** Replace an output that exists. */
  readonly force?: boolean | undefined;
  /** Go on where a run with the same options was stopped. */
  readonly resume?: boolean | undefined;
}

export interface WrittenSensitivity {
  readonly output: string;
  readonly sensitivity: Sensitivity;
  readonly roundings: number;
  /** Runs of a chunk through the model with one tensor rounded, and how many of them an earlier run had done. */
  readonly runs: number;
  readonly resumed: number;
  readonly seconds: number;
}

export const DEFAULT_CONTEXT = 512;
export const DEFAULT_CHUNKS = 8;
export const DEFAULT_TYPES: readonly DTypeName[] = ["Q3_K"];
const KIND = "sensitivity 1";

/**
 * Measures what rounding each tensor alone does to what the model says of a text, and writes it down. What is done
 * stays beside the output when the work is stopped, for `resume`.
 * @throws LlqError `usage` for an output that exists or is an input; `no-space` for a full disk; `bad-input` for a
 * text of fewer than two chunks, an importance matrix of another model, or weights that give no number
 */
export async function writeSensitivity(
  output: string,
  source: SensitivitySource,
  options: WriteSensitivityOptions,
): Promise<WrittenSensitivity> {
  const { model, text } = source;
  const { imatrix, force } = options;
  const inputs = [...model.container.files, text, ...(imatrix === undefined ? [] : [imatrix.file])];
  const claim = claimOutputs([output], { inputs, force });
  try {
    return await writeClaimed(output, source, options);
  } finally {
    claim.release();
  }
}

async function writeClaimed(
  output: string,
  { model, text, tokens }: SensitivitySource,
  options: WriteSensitivityOptions,
): Promise<WrittenSensitivity> {
  const started = performance.now();
  const { context = DEFAULT_CONTEXT, bos, imatrix, resume, force = false } = options;
  const all = cutChunks(model, tokens, { context, bos });
  const chunks = spreadChunks(all, options.chunks ?? DEFAULT_CHUNKS);
  const perturbations = perturbationsOf(model, options.types ?? DEFAULT_TYPES, imatrix);
  const checkpoint = journalPath(output);
  const print = fingerprint(model, chunks, perturbations);
  if (!resume) removeCheckpoint(checkpoint);
  const kept = resume ? readCheckpoint(checkpoint, KIND, print) : undefined;
  /** [perturbations][chunks]; NaN where nothing is known yet. */
  const klds = kept?.sums ?? new Float64Array(perturbations.length * chunks.length).fill(Number.NaN);
  const resumed = klds.filter(isKnown).length;
  try {
    await measureSensitivity(model, chunks, perturbations, {
      ...options,
      scratch: `${output}.partial`,
      isDone: (perturbation, chunk) => isKnown(klds[perturbation * chunks.length + chunk]!),
      onChunk: (perturbation, chunk, kld) => {
        klds[perturbation * chunks.length + chunk] = checkNumber(model, perturbations[perturbation]!, kld);
      },
      onBatch: () => writeCheckpoint(checkpoint, KIND, print, { chunks: chunks.length, sums: klds }),
    });
  } catch (error) {
    throw isResumable(error) ? withResumeHint(error, checkpoint) : error;
  }
  const sensitivity = summarize(
    output,
    describeSensitivity(model, { text, context, imatrix, chunks: chunks.length }, perturbations),
    klds,
  );
  writeOutput(output, sensitivityFile(sensitivity), force);
  removeCheckpoint(checkpoint);
  const seconds = (performance.now() - started) / 1000;
  return { output, sensitivity, roundings: perturbations.length, runs: klds.length, resumed, seconds };
}

export function perturbationsOf(
  model: Model,
  types: readonly DTypeName[],
  imatrix: Imatrix | undefined,
): Perturbation[] {
  const tensors = model.tensors.filter(isQuantizable);
  const importances = imatrix && importancesOf(tensors, imatrix);
  return tensors.flatMap((tensor, i) =>
    candidatesFor(tensor, types)
      .filter(rounds)
      .map((dtype) => ({
        tensor,
        dtype,
        weights: takesWeights({ dtype }) ? importances?.[i] : undefined,
      })),
  );
}

function valuesOf(klds: Float64Array, perturbation: number, chunks: number): Float64Array {
  return klds.subarray(perturbation * chunks, (perturbation + 1) * chunks);
}

function isKnown(value: number): boolean {
  return !Number.isNaN(value);
}

export function checkNumber(model: Model, { tensor, dtype }: Perturbation, kld: number): number {
  if (Number.isFinite(kld)) return kld;
  const message = t`${model.path}: with ${tensor.name} as ${dtype} the model's output is not a number`;
  throw badInput(message, t`weights are damaged, or too large for f32 arithmetic`);
}

/** All that a sensitivity file says beside the divergences. Plain data. */
export interface Described extends Omit<Sensitivity, "file" | "tensors"> {
  readonly roundings: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly dtype: DTypeName;
  }[];
}

export function describeSensitivity(
  model: Model,
  about: { text: string; context: number; chunks: number; imatrix: Imatrix | undefined },
  perturbations: readonly Perturbation[],
): Described {
  const { text, context, chunks, imatrix } = about;
  return {
    architecture: model.architecture.name,
    fingerprint: modelFingerprint(model),
    ...{ text, context, chunks },
    imatrix: imatrix === undefined ? null : imatrixFingerprint(imatrix),
    roundings: perturbations.map(({ tensor, dtype }) => ({ name: tensor.name, shape: tensor.shape, dtype })),
  };
}

/** @param klds [roundings][chunks] */
export function summarize(file: string, { roundings, ...about }: Described, klds: Float64Array): Sensitivity {
  const tensors = new Map<string, { shape: readonly number[]; kld: Map<DTypeName, number> }>();
  const { chunks } = about;
  for (const [i, { name, shape, dtype }] of roundings.entries()) {
    const entry = tensors.get(name) ?? { shape, kld: new Map() };
    const mean = valuesOf(klds, i, chunks).reduce((sum, value) => sum + value, 0) / chunks;
    // What rounding in f32 makes of nothing may lie below it.
    entry.kld.set(dtype, Math.max(0, mean));
    tensors.set(name, entry);
  }
  return { file, ...about, tensors };
}

/** Of everything the results depend on. */
export function fingerprint(
  model: Model,
  chunks: readonly Int32Array[],
  perturbations: readonly Perturbation[],
  identity?: (file: string) => string,
): string {
  const hash = hashWork(model, chunks, identity);
  for (const { tensor, dtype, weights = [] } of perturbations) {
    hash.update(JSON.stringify([tensor.name, dtype]));
    for (const values of weights) hash.update(values);
  }
  return hash.digest("hex");
}
