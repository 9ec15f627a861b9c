import { Command, Option } from "commander";
import { meta } from "../../formats/gguf/gguf-write.js";
import { readMetadataFile } from "../card/override.js";
import { t } from "../language/t.js";
import { parseBytes } from "../quant/bytes.js";
import { type KeyValue, parseKeyValue } from "../quant/metadata.js";
import { planConvert, planKeep } from "../quant/plan.js";
import { findRecipe } from "../quant/recipes/recipes.js";
import { splitBySize } from "../quant/split.js";
import {
  forceOption,
  jsonOption,
  loraOption,
  outputOption,
  overrideKvOption,
  partOption,
  resumeOption,
  splitOption,
  threadsOption,
} from "./shared/options.js";
import { MODEL_ARGUMENT, openSource } from "./shared/source.js";
import { type WriteOptions, writeParts } from "./shared/write.js";

interface ConvertOptions extends WriteOptions {
  readonly type: string;
  readonly splitMaxSize?: string;
  readonly lora?: readonly string[];
  readonly overrideKv?: readonly string[];
  readonly metadata?: string;
  readonly modelName?: string;
}

export const convertCommand = new Command("convert")
  .summary(t`convert a model to GGUF`)
  .description(t`Convert a Hugging Face checkpoint to a GGUF file in one float type.`)
  .argument("<model>", MODEL_ARGUMENT)
  .addOption(outputOption())
  .addOption(
    new Option(
      "-t, --type <type>",
      t`type of the matrices; auto keeps all exactly as they are, and copies GGUF`,
    )
      .choices(["f32", "f16", "bf16", "auto"])
      .default("auto"),
  )
  .addOption(loraOption())
  .addOption(new Option("--model-name <name>", t`what the model is called (general.name)`))
  .addOption(
    new Option("--metadata <file>", t`JSON of general.* keys to set, as llama.cpp's converter takes it`),
  )
  .addOption(overrideKvOption())
  .addOption(splitOption())
  .addOption(threadsOption())
  .addOption(forceOption())
  .addOption(resumeOption())
  .addOption(partOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq convert ./Llama-3.2-1B -o llama-1b.gguf
  llq convert ./Llama-3.2-1B -o llama-1b-f16.gguf --type f16
  llq convert ./Llama-3.2-1B -o merged.gguf --lora ./adapter
  llq convert ./Llama-3.1-70B -o llama-70b.gguf --split-max-size 20G
  llq convert q4-00001-of-00003.gguf -o q4.gguf
  llq convert hf:meta-llama/Llama-3.2-1B -o llama-1b.gguf`,
  )
  .action(async (path: string, options: ConvertOptions) => {
    const model = await openSource(path, options);
    const keys: KeyValue[] = [
      ...(options.metadata === undefined ? [] : readMetadataFile(options.metadata)),
      ...(options.modelName === undefined ? [] : [["general.name", meta.string(options.modelName)] as const]),
      ...(options.overrideKv ?? []).map(parseKeyValue),
    ];
    const plan =
      options.type === "auto" ? planKeep(model, keys) : planConvert(model, findRecipe(options.type), keys);
    const { output, splitMaxSize } = options;
    const parts =
      splitMaxSize === undefined
        ? [{ plan, output }]
        : splitBySize(plan, output, parseBytes("--split-max-size", splitMaxSize));
    await writeParts("convert", parts, options);
  });
