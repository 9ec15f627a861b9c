import { decodeLatin1 } from "#host/bytes";
import { t } from "../src/language/t.js";
import { badInput, type LlqError } from "./errors.js";

/** What is often there instead of a file that was to be fetched, by how it begins. */
export const IMPOSTORS = [
  [
    "version https://git-lfs",
    "bad-input",
    () => t`a Git LFS pointer instead of the file`,
    () => t`run git lfs pull`,
  ],
  ["<", "bad-input", () => t`a web page`, () => t`fetch the file again`],
] as const;

/** @throws LlqError `bad-input` when the bytes are those of a Git LFS pointer or a web page, and not of a model's file */
export function refuseImpostor(name: string, bytes: Uint8Array): void {
  const start = decodeLatin1(bytes.subarray(0, 64)).trimStart();
  const found = IMPOSTORS.find(([known]) => start.startsWith(known));
  if (found !== undefined) throw impostor(name, found);
}

function impostor(name: string, [, , what, hint]: (typeof IMPOSTORS)[number]): LlqError {
  return badInput(`${name}: ${what()}`, hint());
}
