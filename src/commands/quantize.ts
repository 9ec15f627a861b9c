import { Command, Option } from "commander";
import { LlqError } from "../../formats/errors.js";
import { openModel } from "../model.js";
import { planQuantize } from "../quant/plan.js";
import { BITS, findRecipe, type Recipe } from "../quant/recipes.js";
import { forceOption, jsonOption, outputOption, resumeOption, threadsOption } from "./options.js";
import { printPlan, type WriteOptions, writePlan } from "./write.js";

interface QuantizeOptions extends WriteOptions {
  readonly bits?: string;
  readonly type?: string;
  readonly allowRequantize?: boolean;
  readonly dryRun?: boolean;
}

export const quantizeCommand = new Command("quantize")
  .summary("quantize a model and write a GGUF file")
  .description(
    "Quantize a model block by block and write a GGUF file, in one pass and without intermediate files.",
  )
  .argument("<model>", "Hugging Face model folder, or a GGUF file of floats")
  .addOption(outputOption())
  .addOption(
    new Option("-b, --bits <n>", "bits per weight, about").choices(Object.keys(BITS)).conflicts("type"),
  )
  .addOption(new Option("-t, --type <name>", "exact type, such as Q8_0"))
  .addOption(new Option("--allow-requantize", "accept a model that is quantized already"))
  .addOption(new Option("--dry-run", "print what would be written, tensor by tensor, and stop"))
  .addOption(threadsOption())
  .addOption(forceOption())
  .addOption(resumeOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
Examples:
  llq quantize ./Llama-3.2-1B -o llama-1b-q4.gguf --bits 4
  llq quantize llama-1b-f16.gguf -o llama-1b-q8.gguf --type Q8_0
  llq quantize ./Llama-3.2-1B -o out.gguf --bits 4 --dry-run

--bits ${Object.entries(BITS)
      .map(([bits, name]) => `${bits} is ${name}`)
      .join(", --bits ")}.`,
  )
  .action(async (path: string, options: QuantizeOptions) => {
    const recipe = chosenRecipe(options);
    const plan = planQuantize(openModel(path), recipe, options);
    if (options.dryRun) printPlan(plan, options);
    else await writePlan("quantize", plan, options);
  });

function chosenRecipe({ bits, type }: QuantizeOptions): Recipe {
  const name = type ?? (bits === undefined ? undefined : BITS[bits]);
  if (name !== undefined) return findRecipe(name);
  throw new LlqError("usage", "how many bits? neither --bits nor --type is given", {
    hint: "llq quantize <model> -o <file> --bits 4",
  });
}
