import { existsSync } from "node:fs";
import { type FoundRecord, foreignPart, type PartHead, readRecord, recordPath } from "./record.js";

/**
 * What an earlier run of the same part has left.
 * @throws LlqError `usage` when it was of other work
 */
export function findOwnRecord(output: string, head: PartHead): FoundRecord | undefined {
  const path = recordPath(output, head);
  if (!existsSync(path)) return undefined;
  const found = readRecord(path);
  if (found.kind === head.kind && found.fingerprint === head.fingerprint) return found;
  throw foreignPart(output, head.no, head.count);
}
