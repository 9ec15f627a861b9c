import { type PartHead, PartRecord, recordPath } from "../../../src/run/parts/record.js";

/** Leaves the record that part `no` of `count` would, with these entries; returns where. */
export function leaveRecord(
  output: string,
  head: PartHead,
  { entries = [], ends = true }: { entries?: readonly unknown[]; ends?: boolean } = {},
): string {
  const path = recordPath(output, head);
  const record = PartRecord.create(path, head);
  for (const entry of entries) record.add(entry);
  if (ends) record.end();
  record.close();
  return path;
}
