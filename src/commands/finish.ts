import { Command } from "commander";
import { badInput } from "../../formats/errors.js";
import type { FINISHED } from "../report/documents/parts.js";
import { claimAllParts } from "../run/parts/claim-part.js";
import { FILE_KIND } from "../run/parts/file.js";
import { FILES_KIND, finishFiles } from "../run/parts/files.js";
import { finishFile } from "../run/parts/finish-file.js";
import { gatherParts } from "../run/parts/gather.js";
import {
  createProgress,
  formatBytes,
  formatCount,
  formatSeconds,
  interruptible,
  printJson,
  printLine,
} from "../ui.js";
import { forceOption, jsonOption, threadsOption } from "./shared/options.js";

interface FinishCommandOptions {
  readonly threads?: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

export const finishCommand = new Command("finish")
  .summary("make one result of what several runs with --part have done")
  .description(
    "Make one result of what runs with --part have done, on one machine or many: every part must be there, complete, and\n" +
      "of the same work. Of a file every byte is read back and compared before it gets its name.",
  )
  .argument("<output>", "what the parts were given as -o")
  .addOption(threadsOption())
  .addOption(forceOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
Examples:
  llq quantize ./Llama-3.3-70B -o out.gguf --bits 4 --part 1/2
  llq quantize ./Llama-3.3-70B -o out.gguf --bits 4 --part 2/2
  llq finish out.gguf
  llq quantize ./Llama-3.3-70B -o out.gguf --bits 4 --split-max-size 10G --part slurm/8`,
  )
  .action(async (output: string, options: FinishCommandOptions) => {
    const locks = claimAllParts(output);
    try {
      await finish(output, options);
    } finally {
      locks.release();
    }
  });

async function finish(output: string, { json, ...options }: FinishCommandOptions): Promise<void> {
  const records = gatherParts(output);
  const { kind, path } = records[0]!;
  const progress = createProgress("finish", json);
  const onProgress = (done: number, total: number) => progress.update(done, total);
  const watched = <T>(
    work: (each: object & { signal: AbortSignal; onProgress: typeof onProgress }) => Promise<T>,
  ) => interruptible((signal) => work({ ...options, signal, onProgress })).finally(() => progress.stop());
  if (kind === FILE_KIND) {
    const done = await watched((each) => finishFile(output, records, each));
    if (json) printJson<typeof FINISHED>({ schema: 1, ...done });
    else printDone(output, done, formatBytes(done.byteLength));
  } else if (kind === FILES_KIND) {
    const done = await watched((each) => finishFiles(output, records, each));
    if (json) printJson<typeof FINISHED>({ schema: 1, ...done });
    else printDone(done.files[0]!.output, done, `${done.files.length} files`);
  } else throw badInput(`${path}: ${kind} is nothing that this version finishes`);
}

function printDone(
  output: string,
  { recipe, elements, parts, seconds }: { recipe: string; elements: number; parts: number; seconds: number },
  size: string,
): void {
  const work = `${formatCount(elements)} weights in ${parts} parts of ${formatSeconds(seconds)} together`;
  printLine(`${output}: ${recipe}, ${size}, ${work}`);
}
