import { Command, Option } from "commander";
import { t } from "../../language/t.js";
import { parseBytes } from "../../quant/bytes.js";
import { planSplit } from "../../quant/copy.js";
import {
  type CopyCommandOptions,
  GGUF_ARGUMENT,
  openGguf,
  printCopies,
  writeCopies,
} from "../shared/gguf.js";
import { forceOption, jsonOption, outputOption, wholeNumber } from "../shared/options.js";

/** As llama-gguf-split has it. */
const MAX_TENSORS = 128;

interface SplitOptions extends CopyCommandOptions {
  readonly maxSize?: string;
  readonly maxTensors: number;
  readonly tensorsFirst: boolean;
  readonly dryRun?: boolean;
}

export const splitCommand = new Command("split")
  .summary(t`cut a GGUF into several files`)
  .description(
    t`Cut a GGUF file of any architecture into parts named -00001-of-0000N.gguf, as llama-gguf-split does.`,
  )
  .argument("<model>", GGUF_ARGUMENT)
  .addOption(outputOption(t`what the parts are named after, such as out.gguf`))
  .addOption(new Option("--max-size <size>", t`bytes of tensors in a part at most, such as 2G or 500M`))
  .addOption(
    new Option("--max-tensors <n>", t`tensors in a part at most`)
      .argParser(wholeNumber(1))
      .default(MAX_TENSORS)
      .conflicts("maxSize"),
  )
  .addOption(new Option("--no-tensors-first", t`the first part has the metadata alone`))
  .addOption(new Option("--dry-run", t`print the parts, and write none`))
  .addOption(forceOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq split llama-70b-q4.gguf -o parts/llama-70b-q4.gguf --max-size 20G
  llq split llama-70b-q4.gguf -o out.gguf --max-tensors 64 --no-tensors-first --dry-run`,
  )
  .action(async (path: string, options: SplitOptions) => {
    const { output, maxSize, maxTensors, dryRun, json } = options;
    const size = maxSize === undefined ? undefined : parseBytes("--max-size", maxSize);
    const container = await openGguf(path, "split", { json });
    const plans = planSplit(container, output, {
      maxSize: size,
      maxTensors,
      noTensorsFirst: !options.tensorsFirst,
    });
    if (dryRun) printCopies(plans, json);
    else await writeCopies("split", container, plans, options);
  });
