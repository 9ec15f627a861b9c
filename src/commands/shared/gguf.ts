import type { Container } from "../../../formats/container.js";
import { openContainer } from "../../../formats/open.js";
import { t } from "../../language/t.js";
import { type CopyPlan, checkGguf } from "../../quant/copy.js";
import type { COPIED } from "../../report/documents/write.js";
import { copyTensors } from "../../run/write/copy.js";
import { createProgress, formatBytes, interruptible, printJson, printLine } from "../../ui.js";
import { fetchSource, type SourceOptions } from "./source.js";

/** What `<model>` may be where tensors are only moved. */
export const GGUF_ARGUMENT = t`GGUF file, the first of several, or hf:owner/name/file.gguf[@revision]`;

/** Opens a GGUF of whatever architecture, with all its parts. @throws LlqError `usage` when it is another format */
export async function openGguf(
  text: string,
  command: string,
  options: SourceOptions = {},
): Promise<Container> {
  const path = await fetchSource(text, options);
  const container = openContainer(path);
  checkGguf(text, container, command);
  return container;
}

export interface CopyCommandOptions {
  readonly output: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Carries the plans out and says what was written. */
export async function writeCopies(
  title: string,
  container: Container,
  plans: readonly CopyPlan[],
  { force, json }: CopyCommandOptions,
): Promise<void> {
  const progress = createProgress(title, json);
  const onProgress = (done: number, total: number) => progress.update(done, total);
  await interruptible((signal) => copyTensors(container, plans, { force, signal, onProgress })).finally(() =>
    progress.stop(),
  );
  printCopies(plans, json);
}

/** The files that are written, or would be. */
export function printCopies(plans: readonly CopyPlan[], json: boolean | undefined): void {
  const files = plans.map(({ output, tensors, byteLength }) => ({
    output,
    tensors: tensors.length,
    byteLength,
  }));
  if (json) {
    printJson<typeof COPIED>({ schema: 1, files });
    return;
  }
  for (const { output, tensors, byteLength } of files) {
    printLine(t`${output}: ${tensors} tensors, ${formatBytes(byteLength)}`);
  }
}
