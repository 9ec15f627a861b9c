import { t } from "../../language/t.js";
import type { FINISHED } from "../../report/documents/parts.js";
import { finishFiles } from "../../run/parts/files.js";
import { finishFile, type FinishOptions as Watched } from "../../run/parts/finish-file.js";
import {
  createProgress,
  formatBytes,
  formatCount,
  formatSeconds,
  interruptible,
  printJson,
  printLine,
} from "../../ui.js";
import type { FinishOptions, Kind } from "./types.js";

/** A file that all parts have written to. */
export const oneFile: Kind = {
  takes: [],
  finish: async (output, records, options) => {
    const done = await watched(options, (each) => finishFile(output, records, each));
    if (options.json) printJson<typeof FINISHED>({ schema: 1, ...done });
    else printDone(output, done, formatBytes(done.byteLength));
  },
};

/** Files that are each of one part. */
export const severalFiles: Kind = {
  takes: [],
  finish: async (output, records, options) => {
    const done = await watched(options, (each) => finishFiles(output, records, each));
    if (options.json) printJson<typeof FINISHED>({ schema: 1, ...done });
    else printDone(done.files[0]!.output, done, t`${done.files.length} files`);
  },
};

function watched<T>(
  { threads, force, json }: FinishOptions,
  work: (options: Watched) => Promise<T>,
): Promise<T> {
  const progress = createProgress("finish", json);
  const onProgress = (done: number, total: number) => progress.update(done, total);
  return interruptible((signal) => work({ threads, force, signal, onProgress })).finally(() =>
    progress.stop(),
  );
}

interface Done {
  readonly recipe: string;
  readonly elements: number;
  readonly parts: number;
  readonly seconds: number;
}

function printDone(output: string, { recipe, elements, parts, seconds }: Done, size: string): void {
  const work = t`${formatCount(elements)} weights in ${parts} parts of ${formatSeconds(seconds)} together`;
  printLine(`${output}: ${recipe}, ${size}, ${work}`);
}
