import { Command } from "commander";
import { t } from "../../language/t.js";
import { planCopy } from "../../quant/copy.js";
import { type CopyCommandOptions, GGUF_ARGUMENT, openGguf, writeCopies } from "../shared/gguf.js";
import { forceOption, jsonOption, outputOption } from "../shared/options.js";

export const copyCommand = new Command("copy")
  .summary(t`copy a GGUF, whatever is in it, to one file`)
  .description(
    t`Copy a GGUF file of any architecture, or all parts of one, to one file: every tensor and all metadata as they are.`,
  )
  .argument("<model>", GGUF_ARGUMENT)
  .addOption(outputOption())
  .addOption(forceOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq copy big-endian.gguf -o little-endian.gguf
  llq copy hf:ggml-org/models/tinyllamas/stories260K.gguf -o stories260K.gguf`,
  )
  .action(async (path: string, options: CopyCommandOptions) => {
    const container = await openGguf(path, "copy", options);
    await writeCopies("copy", container, [planCopy(container, options.output)], options);
  });
