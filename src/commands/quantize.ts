import { Command, Option } from "commander";
import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";
import type { Model } from "../model.js";
import { parseBytes } from "../quant/bytes.js";
import { type Plan, planCopy, planQuantize } from "../quant/plan.js";
import { BITS, findRecipe, GUIDED_BITS, type Recipe } from "../quant/recipes/recipes.js";
import { type PlanPart, splitBySize, splitLikeSource } from "../quant/split.js";
import { checkOutputs } from "../run/write/claim.js";
import {
  type CalibrateOptions,
  type CalibrationText,
  calibratedOptions,
  calibrateOptions,
  calibrationText,
  finishCalibration,
  printCalibration,
  printCalibrationPlan,
  runCalibration,
  warnOfShortText,
} from "./shared/calibrate.js";
import { DEFAULT_PATTERN, outputNames } from "./shared/names.js";
import {
  bitsOption,
  forceOption,
  jsonOption,
  loraOption,
  maxMemoryOption,
  overrideKvOption,
  partOption,
  resumeOption,
  splitOption,
  threadsOption,
} from "./shared/options.js";
import { refuseForPart } from "./shared/parts/part.js";
import { asksForSize, planForSize, type SizeOptions, sizeOptions } from "./shared/size/by-size.js";
import { MODEL_ARGUMENT, openSource } from "./shared/source.js";
import { typeHelp } from "./shared/type-help.js";
import { refuseForCopy, type WishOptions, wishesOf, wishOptions } from "./shared/wishes.js";
import { printPlan, printPlans, type WriteOptions, writeModels, writeParts } from "./shared/write.js";

interface CommandOptions extends GivenOptions {
  readonly output: string;
}

/** As they are typed: -o may be a pattern, or missing. */
interface GivenOptions
  extends Omit<WriteOptions, "output">,
    WishOptions,
    SizeOptions,
    Omit<CalibrateOptions, "output"> {
  readonly output?: string;
  readonly bits?: string;
  readonly type?: string;
  readonly keepSplit?: boolean;
  readonly lora?: readonly string[];
  readonly splitMaxSize?: string;
  readonly dryRun?: boolean;
}

export const quantizeCommand = new Command("quantize")
  .summary(t`quantize a model and write a GGUF file`)
  .description(
    t`Quantize a model block by block and write a GGUF file, in one pass and without intermediate files.`,
  )
  .argument("<model>", MODEL_ARGUMENT)
  .addOption(
    new Option(
      "-o, --output <file>",
      t`GGUF file to write, or a pattern of its name (default: ${DEFAULT_PATTERN})`,
    ),
  )
  .addOption(bitsOption(t`bits per weight, about`))
  .addOption(
    new Option(
      "-t, --type <name>",
      t`exact mix or type, such as Q4_K_M, or several, such as Q4_K_M,Q8_0; COPY keeps all types; those there are stand below`,
    ),
  )
  .addOption(new Option("--prune-layers <list>", t`leave layers out; the others move up`))
  .addOption(overrideKvOption())
  .addOption(new Option("--allow-requantize", t`accept a model that is quantized already`))
  .addOption(new Option("--keep-split", t`write as many files as the model has, named -00001-of-0000N.gguf`))
  .addOption(splitOption().conflicts("keepSplit"))
  .addOption(new Option("--dry-run", t`print what would be written, tensor by tensor, and stop`))
  .addOption(loraOption())
  .addOption(maxMemoryOption())
  .addOption(threadsOption())
  .addOption(forceOption())
  .addOption(resumeOption())
  .addOption(partOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq quantize ./Llama-3.2-1B --bits 4
  llq quantize ./Llama-3.2-1B -o '{name}-{type}.gguf' --type Q4_K_M,Q6_K,Q8_0
  llq quantize ./Llama-3.2-1B -o llama-1b-q4.gguf --bits 4
  llq quantize llama-1b-f16.gguf -o llama-1b-q8.gguf --type Q8_0
  llq quantize ./Llama-3.1-8B -o out.gguf --fit 8GB --context 8192 --kv-type q8_0
  llq quantize ./Llama-3.1-8B -o out.gguf --fit 8GB --imatrix im.gguf --sensitivity sensitivity.json --dry-run
  llq quantize ./Llama-3.1-8B -o out.gguf --target-size 4.5GB --sensitivity sensitivity.json
  llq quantize ./Llama-3.1-8B -o out.gguf --target-bpw 4.2 --imatrix im.gguf
  llq quantize hf:meta-llama/Llama-3.2-1B -o llama-1b-q4.gguf --bits 4
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --imatrix llama-1b.imatrix.gguf
  llq quantize ./Llama-3.3-70B -o out.gguf --type IQ2_XS --imatrix im.gguf
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --calibrate calibration.txt
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --calibrate calibration.txt --calibrate-tokens 16384 --effort plain
  llq quantize ./Llama-3.1-8B -o out.gguf --bits 3 --calibrate calibration.txt --max-memory 4GB --scratch /mnt/fast
  llq quantize ./Llama-3.1-8B -o out.gguf --target-size 4.5GB --sensitivity s.json --calibrate calibration.txt
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --dry-run
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --tensor ffn_down=Q6_K --tensor 'blk.[0-3].*=Q8_0'
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --tensor '/blk\\.(0|15)\\./=Q8_0'
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --tensor-type attn_v=q8_0 --tensor-type-file types.txt
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --imatrix im.gguf --exclude-weights ffn_down
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --imatrix im.gguf --include-weights attn_ --include-weights ffn_up
  llq quantize llama-1b-q4.gguf -o shallow.gguf --type COPY --prune-layers 9,12-13
  llq quantize ./Llama-3.2-1B -o out.gguf --type Q4_0 --output-type Q8_0 --embedding-type F16
  llq quantize ./Llama-3.2-1B -o out.gguf --type Q8_0 --leave-output
  llq quantize ./Llama-3.2-1B -o out.gguf --type Q4_0 --pure
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 8 --prune-layers 9,12-13
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 8 --override-kv general.name=str:Mine
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --lora ./adapter --lora ./style=0.5
  llq quantize llama-1b-q8.gguf -o out.gguf --bits 4 --allow-requantize
  llq quantize ./Llama-2-70b -o out.gguf --bits 4 --keep-split
  llq quantize ./Llama-2-70b -o out.gguf --bits 4 --split-max-size 2G
  llq quantize ./Llama-2-70b -o out.gguf --bits 4 --part 2/8

${t`--bits ${listed(Object.entries(BITS))};
with --imatrix, which 1 needs, ${listed(Object.entries(GUIDED_BITS).filter(([bits, name]) => name !== BITS[bits]))}.`}

${typeHelp()}`,
  )
  .action(async (path: string, given: GivenOptions) => {
    refuseForPart(given.part, {
      "--calibrate": given.calibrate !== undefined,
      "--dry-run": given.dryRun === true,
    });
    const types = asksForSize(given) ? undefined : chosenTypes(given);
    const outputs = outputNames(path, types?.map(nameOf), given);
    if (types !== undefined && types.length > 1) await quantizeTogether(path, types, outputs, given);
    else await quantizeOnce(path, types?.[0], { ...given, output: outputs[0]! });
  });

type Type = Recipe | "COPY";

function nameOf(type: Type): string {
  return type === "COPY" ? type : type.name;
}

/** @param type undefined when a size is asked for */
async function quantizeOnce(path: string, type: Type | undefined, options: CommandOptions): Promise<void> {
  if (type === "COPY") refuseForCopy(options);
  const wanted = wishesOf(options);
  const model = await openSource(path, options.dryRun ? { json: options.json, lora: options.lora } : options);
  const text = calibrationText(model, options);
  const given =
    text === undefined
      ? wanted
      : await calibratedOptions(model, text, wanted, { ...options, isBySize: type === undefined });
  const plan =
    type === undefined
      ? await planForSize(model, options, given)
      : type === "COPY"
        ? planCopy(model, given)
        : planQuantize(model, type, given);
  const parts = partsOf(plan, options);
  if (text !== undefined) warnOfShortText(text, model);
  if (options.dryRun) {
    printPlan(plan, parts, options);
    if (text !== undefined && !options.json) printCalibrationPlan(text, options);
  } else if (text === undefined) await writeParts("quantize", parts, options);
  else await writeCalibrated(model, plan, parts, text, options);
}

/** Several types of one model, which is read once for all. */
async function quantizeTogether(
  path: string,
  types: readonly Type[],
  outputs: readonly string[],
  options: GivenOptions,
): Promise<void> {
  const recipes = types.map((type) => {
    if (type !== "COPY") return type;
    throw new LlqError("usage", t`--type COPY takes no type, so it goes with no other`, {
      hint: t`run it by itself`,
    });
  });
  refuseForPart(options.part, { "several types": true });
  if (options.calibrate !== undefined) {
    throw new LlqError(
      "usage",
      t`--calibrate rounds one layer after the other as the types before it are, so it goes with one type`,
      {
        hint: t`a run for each type`,
      },
    );
  }
  const wanted = wishesOf(options);
  if (!options.dryRun) checkOutputs(outputs, options);
  const { json, lora, dryRun } = options;
  const model = await openSource(path, { json, lora });
  calibrationText(model, options); // refuses what means nothing without one
  const plans = recipes.map((recipe) => planQuantize(model, recipe, wanted));
  const models = plans.map((plan, i) => partsOf(plan, { ...options, output: outputs[i]! }));
  if (dryRun) printPlans(plans, models, options);
  else await writeModels("quantize", models, options);
}

for (const option of [...wishOptions(), ...sizeOptions(), ...calibrateOptions()]) {
  quantizeCommand.addOption(option);
}

function listed(bits: readonly (readonly [string, string])[]): string {
  return bits.map(([digit, name]) => t`${digit} is ${name}`).join(", ");
}

/** Rounds the matrices by the text, then writes the file. */
async function writeCalibrated(
  model: Model,
  plan: Plan,
  parts: readonly PlanPart[],
  text: CalibrationText,
  options: CommandOptions,
): Promise<void> {
  const calibration = await runCalibration(model, plan, text, options);
  const rounded = parts.map((part) => ({ ...part, plan: calibration.apply(part.plan) }));
  const { apply: _, reports: tensors, ...rest } = calibration;
  await writeParts("quantize", rounded, options, { calibration: { ...rest, tensors } });
  finishCalibration(options);
  if (!options.json) printCalibration(calibration);
}

function partsOf(plan: Plan, { output, keepSplit, splitMaxSize }: CommandOptions): PlanPart[] {
  if (splitMaxSize !== undefined)
    return splitBySize(plan, output, parseBytes("--split-max-size", splitMaxSize));
  return keepSplit ? splitLikeSource(plan, output) : [{ plan, output }];
}

function chosenTypes({ bits, type, imatrix, calibrate }: GivenOptions): Type[] {
  const isGuided = imatrix !== undefined && calibrate === undefined; // with --calibrate the mixes stay those of its measurements
  const names = type ?? (bits === undefined ? undefined : (isGuided ? GUIDED_BITS : BITS)[bits]);
  if (names !== undefined) return names.split(",").map((name) => chosenType(name.trim()));
  throw new LlqError("usage", t`how many bits? neither --bits nor --type nor a size is given`, {
    hint: t`llq quantize <model> -o <file> --bits 4, or --fit 8GB`,
  });
}

function chosenType(name: string): Type {
  return name.toUpperCase() === "COPY" ? "COPY" : findRecipe(name);
}
