import { Option } from "commander";
import { LlqError } from "../../../formats/errors.js";
import { type Imatrix, openImatrix } from "../../../formats/imatrix/imatrix.js";
import { t } from "../../language/t.js";
import { withEntries } from "../../quant/importance.js";
import { parseKeyValue } from "../../quant/metadata.js";
import type { QuantizeOptions } from "../../quant/plan.js";
import { parseLayers } from "../../quant/prune.js";
import { findWritableType, parseOverride } from "../../quant/recipes/override.js";
import { parseTensorType, readTensorTypes } from "../../quant/recipes/tensor-types.js";
import { repeatable } from "./options.js";

/** The options of `llq quantize` that say what a file shall be like, whatever its mix or size. */
export interface WishOptions {
  readonly imatrix?: string;
  readonly includeWeights?: readonly string[];
  readonly excludeWeights?: readonly string[];
  readonly tensor?: readonly string[];
  readonly tensorType?: readonly string[];
  readonly tensorTypeFile?: readonly string[];
  readonly outputType?: string;
  readonly embeddingType?: string;
  readonly leaveOutput?: boolean;
  readonly pure?: boolean;
  readonly pruneLayers?: string;
  readonly overrideKv?: readonly string[];
  readonly allowRequantize?: boolean;
}

/** Their definitions, without those that other commands have too. */
export const wishOptions = () => [
  new Option("--imatrix <file>", t`importance matrix of the model, .gguf or .dat: guides the rounding`),
  repeatable(
    "--include-weights <text>",
    t`use only those entries of --imatrix whose names have this in them`,
  ).conflicts(["excludeWeights", "calibrate"]),
  repeatable(
    "--exclude-weights <text>",
    t`do not use the entries of --imatrix whose names have this in them`,
  ).conflicts("calibrate"),
  repeatable(
    "--tensor <pattern=type>",
    t`type for the tensors of a role, a glob, or a regular expression between slashes; the first that fits wins`,
  ),
  repeatable(
    "--tensor-type <regex=type>",
    t`the same as llama-quantize has it, which counts such tensors out of the mix's layers`,
  ),
  repeatable("--tensor-type-file <file>", t`a file of these, with white space between`),
  new Option("--output-type <type>", t`type of the output matrix (of the embedding, if it is tied)`),
  new Option("--embedding-type <type>", t`type of the token embedding`),
  new Option("--leave-output", t`keep the output matrix in the type it has`).conflicts("outputType"),
  new Option("--pure", t`one type for all matrices, without the mix's exceptions`),
];

/** Reads them. @throws LlqError `usage`, and what reading their files throws */
export function wishesOf(options: WishOptions): QuantizeOptions {
  const { outputType, embeddingType, leaveOutput, pure, allowRequantize } = options;
  const tensorTypes = [
    ...(options.tensorType ?? []).map((text) => parseTensorType(text)),
    ...(options.tensorTypeFile ?? []).flatMap(readTensorTypes),
  ];
  return {
    overrides: options.tensor?.map(parseOverride),
    tensorTypes: tensorTypes.length === 0 ? undefined : tensorTypes,
    outputType: outputType === undefined ? undefined : findWritableType(outputType),
    embeddingType: embeddingType === undefined ? undefined : findWritableType(embeddingType),
    leaveOutput,
    pure,
    allowRequantize,
    pruneLayers: options.pruneLayers === undefined ? undefined : parseLayers(options.pruneLayers),
    overrideKv: options.overrideKv?.map(parseKeyValue),
    imatrix: guideOf(options),
  };
}

function guideOf({ imatrix, includeWeights, excludeWeights }: WishOptions): Imatrix | undefined {
  if (imatrix !== undefined) return withEntries(openImatrix(imatrix), { includeWeights, excludeWeights });
  if (includeWeights === undefined && excludeWeights === undefined) return undefined;
  const option = includeWeights === undefined ? "--exclude-weights" : "--include-weights";
  throw new LlqError(
    "usage",
    t`${option} chooses among the entries of an importance matrix, but there is none`,
    {
      hint: "--imatrix <file>",
    },
  );
}

/** What an option of types would have no effect on. */
const NOT_OF_COPIES = [
  "imatrix",
  "tensor",
  "tensorType",
  "tensorTypeFile",
  "outputType",
  "embeddingType",
  "leaveOutput",
  "pure",
  "allowRequantize",
  "calibrate",
] as const;

/** @throws LlqError `usage` for options that say what types a copy shall have */
export function refuseForCopy(options: WishOptions & { readonly calibrate?: string }): void {
  const idle = NOT_OF_COPIES.find((name) => options[name] !== undefined);
  if (idle === undefined) return;
  const flag = idle.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new LlqError("usage", t`--type COPY keeps every type, so --${flag} changes nothing`, {
    hint: t`--type with a mix, such as Q4_K_M`,
  });
}
