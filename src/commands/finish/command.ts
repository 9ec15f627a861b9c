import { Command } from "commander";
import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { claimAllParts } from "../../run/parts/claim-part.js";
import { gatherParts } from "../../run/parts/gather.js";
import { forceOption, jsonOption, threadsOption } from "../shared/options.js";
import { boundOptions } from "../shared/report/bounds.js";
import { withReports } from "../shared/report/deliver.js";
import { KINDS } from "./kinds.js";
import type { FinishOptions } from "./types.js";

export const finishCommand = new Command("finish")
  .summary(t`make one result of what several runs with --part have done`)
  .description(
    t`Make one result of what runs with --part have done, on one machine or many: every part must be there, complete, and
of the same work. Of a file every byte is read back and compared before it gets its name; what was measured is added
up in the order of one run, to the last digit.`,
  )
  .argument("<output>", t`what the parts were given as -o`)
  .option("--junit <file>", t`write bounds as JUnit test cases`)
  .option("--markdown <file>", t`write what was measured as Markdown`)
  .option("--html <file>", t`write what was compared as a page with charts`)
  .addOption(threadsOption())
  .addOption(forceOption())
  .addOption(jsonOption());

for (const option of boundOptions()) finishCommand.addOption(option);

finishCommand
  .addHelpText(
    "after",
    `
Examples:
  llq quantize ./Llama-3.3-70B -o out.gguf --bits 4 --part 1/2
  llq quantize ./Llama-3.3-70B -o out.gguf --bits 4 --part 2/2
  llq finish out.gguf
  llq eval-ppl out.gguf wiki.test.raw -o ppl --part slurm/8
  llq finish ppl --max-ppl 8 --junit ppl.xml`,
  )
  .action(async (output: string, options: FinishOptions) => {
    await withReports([options.junit, options.markdown, options.html], async () => {
      const locks = claimAllParts(output);
      try {
        const records = gatherParts(output);
        const { kind: name, path } = records[0]!;
        const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
        if (kind === undefined) throw badInput(t`${path}: ${name} is nothing that this version finishes`);
        refuseOthers(name, kind.takes, options);
        await kind.finish(output, records, options);
      } finally {
        locks.release();
      }
    });
  });

/** @throws LlqError `usage` for options that mean nothing for what the parts have done */
function refuseOthers(kind: string, takes: readonly string[], options: FinishOptions): void {
  const others = Object.values(KINDS).flatMap((each) => each.takes);
  const stray = finishCommand.options.find((option) => {
    const name = option.attributeName();
    return Object.hasOwn(options, name) && others.includes(name) && !takes.includes(name);
  });
  if (stray === undefined) return;
  throw new LlqError("usage", t`${stray.long} means nothing for parts of ${kind}`, { hint: t`leave it out` });
}
