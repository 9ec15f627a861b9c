import { closeSync } from "#host/files";
import { crc32 } from "#host/hash";
import type { Container } from "../../../formats/container.js";
import type { FileStamp } from "../../../formats/inputs.js";
import type { CopyPlan } from "../../quant/copy.js";
import type { Descriptors } from "../../rows/rows.js";
import { withFiles } from "../threads/scope.js";
import { claimOutputs, partialPath } from "./claim.js";
import { writeFully } from "./encode.js";
import type { ExecuteOptions } from "./execute.js";
import { checkReadBack, Flusher, openPartial, settle } from "./output.js";
import { publishParts, removePartial } from "./partials.js";
import { tensorPieces } from "./pieces.js";

export type CopyOptions = Pick<ExecuteOptions, "force" | "signal" | "onProgress">;

/**
 * Writes files of tensors that stand in `container`, byte for byte. None has its name before all are complete and read
 * back; whatever ends the work early leaves nothing.
 * @throws LlqError as `execute` does, but what the bytes mean is not looked at
 */
export async function copyTensors(
  container: Container,
  plans: readonly CopyPlan[],
  { force = false, signal, onProgress }: CopyOptions = {},
): Promise<void> {
  const outputs = plans.map(({ output }) => output);
  const total = plans.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const claim = claimOutputs(outputs, { byteLength: total, inputs: container.files, force });
  try {
    const written: { output: string; stamp: FileStamp }[] = [];
    let before = 0;
    await withFiles(async (open) => {
      const files = open(container.files);
      for (const plan of plans) {
        const done = before;
        const stamp = await copyOne(container, files, plan, signal, (n) => onProgress?.(done + n, total));
        written.push({ output: plan.output, stamp });
        before += plan.byteLength;
      }
    });
    publishParts(written, force);
  } catch (error) {
    for (const output of outputs) removePartial(output);
    throw error;
  } finally {
    claim.release();
  }
}

async function copyOne(
  container: Container,
  files: Descriptors,
  plan: CopyPlan,
  signal: AbortSignal | undefined,
  onProgress: (done: number) => void,
): Promise<FileStamp> {
  const { output, byteLength } = plan;
  removePartial(output); // of another run
  const fd = openPartial(partialPath(output), byteLength);
  const flusher = new Flusher(fd, output);
  try {
    let at = 0;
    let crc = 0;
    const put = (bytes: Uint8Array) => {
      writeFully({ fd, name: output, offset: at }, bytes);
      crc = crc32(bytes, crc);
      at += bytes.length;
      flusher.wrote(bytes.length);
    };
    const padTo = (end: number) => {
      if (end > at) put(new Uint8Array(end - at));
    };
    put(plan.header);
    for (const { source, offset } of plan.tensors) {
      padTo(offset);
      for await (const piece of tensorPieces(container, files, source, signal)) {
        put(piece);
        onProgress(at);
      }
    }
    padTo(byteLength);
    await flusher.finish();
    checkReadBack(fd, output, crc, byteLength);
    return settle(fd, output, byteLength);
  } finally {
    await flusher.stop();
    closeSync(fd);
  }
}
