import { closeSync, ftruncateSync, rmSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { Container } from "../../../formats/container.js";
import { checkInputs, type FileStamp } from "../../../formats/inputs.js";
import type { CopyPlan } from "../../quant/copy.js";
import type { Descriptors } from "../../rows/rows.js";
import { withFiles } from "../threads/scope.js";
import { claimOutputs, journalPath, partialPath } from "./claim.js";
import { writeError, writeFully } from "./encode.js";
import type { ExecuteOptions } from "./execute.js";
import { checkReadBack, createFile, Flusher, publish, settle } from "./output.js";
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
    const stamps: FileStamp[] = [];
    let before = 0;
    await withFiles(async (open) => {
      const files = open(container.files);
      for (const plan of plans) {
        const done = before;
        stamps.push(await copyOne(container, files, plan, signal, (n) => onProgress?.(done + n, total)));
        before += plan.byteLength;
      }
    });
    publishAll(outputs, stamps, force);
  } catch (error) {
    for (const output of outputs) rmSync(partialPath(output), { force: true });
    throw error;
  } finally {
    claim.release();
  }
}

/** The first part comes last, and that of an older model goes first: where it is, all of one model are. */
function publishAll(outputs: readonly string[], stamps: readonly FileStamp[], force: boolean): void {
  checkInputs();
  if (force && outputs.length > 1) rmSync(outputs[0]!, { force: true });
  for (let i = outputs.length - 1; i >= 0; i--) publish(outputs[i]!, stamps[i]!, force);
}

async function copyOne(
  container: Container,
  files: Descriptors,
  plan: CopyPlan,
  signal: AbortSignal | undefined,
  onProgress: (done: number) => void,
): Promise<FileStamp> {
  const { output, byteLength } = plan;
  rmSync(journalPath(output), { force: true }); // of another run, whose partial file is replaced too
  const fd = createFile(partialPath(output));
  const flusher = new Flusher(fd, output);
  try {
    setLength(fd, output, byteLength);
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

/** The space is asked for before any of it is used. */
function setLength(fd: number, output: string, byteLength: number): void {
  try {
    ftruncateSync(fd, byteLength);
  } catch (cause) {
    throw writeError(output, cause);
  }
}
