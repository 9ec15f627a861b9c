import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** The trained sample model: BF16, GQA, SentencePiece. */
export const TINY_LLAMA = new URL("../../samples/tiny-llama", import.meta.url).pathname;

/** A folder for this test file, gone when its tests are done. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "llq-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A copy of samples/tiny-llama that a test may spoil. */
export function copyTinyLlama(folder: string, name: string): string {
  const copy = join(folder, name);
  cpSync(TINY_LLAMA, copy, { recursive: true });
  return copy;
}
