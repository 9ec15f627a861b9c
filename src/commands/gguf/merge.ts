import { resolve } from "node:path";
import { Command } from "commander";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { planCopy } from "../../quant/copy.js";
import { type CopyCommandOptions, GGUF_ARGUMENT, openGguf, writeCopies } from "../shared/gguf.js";
import { forceOption, jsonOption, outputOption } from "../shared/options.js";

export const mergeCommand = new Command("merge")
  .summary(t`join the parts of a GGUF to one file`)
  .description(t`Join the parts that llq split or llama-gguf-split made of a model to one file again.`)
  .argument("<first>", t`${GGUF_ARGUMENT}; the other parts are found beside it`)
  .argument("[others...]", t`the other parts, which may be named too, as a shell's * does`)
  .addOption(outputOption())
  .addOption(forceOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq merge llama-70b-q4-00001-of-00003.gguf -o llama-70b-q4.gguf
  llq merge llama-70b-q4-*.gguf -o llama-70b-q4.gguf`,
  )
  .action(async (first: string, others: string[], options: CopyCommandOptions) => {
    const container = await openGguf(first, "merge", options);
    if (container.files.length === 1) {
      const message = t`${first}: is a whole model, not the first part of one`;
      throw new LlqError("usage", message, { hint: t`llq copy copies a whole one` });
    }
    const parts = new Set(container.files.map((file) => resolve(file)));
    const stray = others.find((other) => !parts.has(resolve(other)));
    if (stray !== undefined) {
      const message = t`${stray}: is no part of the model that ${first} begins`;
      throw new LlqError("usage", message, { hint: t`its parts are ${container.files.join(", ")}` });
    }
    await writeCopies("merge", container, [planCopy(container, options.output)], options);
  });
