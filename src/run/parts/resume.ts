import { type FoundRecord, foreignPart, type PartHead, readBegun, recordPath } from "./record.js";

/**
 * What an earlier run of the same part has left.
 * @throws LlqError `usage` when it was of other work
 */
export function findOwnRecord(output: string, head: PartHead): FoundRecord | undefined {
  const found = readBegun(recordPath(output, head));
  if (found === undefined) return undefined;
  if (found.kind === head.kind && found.fingerprint === head.fingerprint) return found;
  throw foreignPart(output, head.no, head.count);
}
