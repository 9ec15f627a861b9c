import { Command, Option } from "commander";
import { openModel } from "../model.js";
import { losslessType, planConvert } from "../quant/plan.js";
import { findRecipe } from "../quant/recipes.js";
import { forceOption, jsonOption, outputOption, resumeOption, threadsOption } from "./options.js";
import { type WriteOptions, writePlan } from "./write.js";

interface ConvertOptions extends WriteOptions {
  readonly type: string;
}

export const convertCommand = new Command("convert")
  .summary("convert a model to GGUF")
  .description("Convert a Hugging Face checkpoint to a GGUF file in one float type.")
  .argument("<model>", "Hugging Face model folder, or a GGUF file")
  .addOption(outputOption())
  .addOption(
    new Option("-t, --type <type>", "type of the matrices; auto keeps them exactly as they are")
      .choices(["f32", "f16", "bf16", "auto"])
      .default("auto"),
  )
  .addOption(threadsOption())
  .addOption(forceOption())
  .addOption(resumeOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
Examples:
  llq convert ./Llama-3.2-1B -o llama-1b.gguf
  llq convert ./Llama-3.2-1B -o llama-1b-f16.gguf --type f16`,
  )
  .action(async (path: string, options: ConvertOptions) => {
    const model = openModel(path);
    const recipe = options.type === "auto" ? losslessType(model) : findRecipe(options.type);
    await writePlan("convert", planConvert(model, recipe), options);
  });
