import type { HostProcess } from "../types.js";

// Files in here are this worker's own: whoever else writes an output is kept off before (src/browser/output.ts).
export const { ownPid, ownPlace, isAlive, startOf }: HostProcess = {
  ownPid: 1,
  ownPlace: () => "browser",
  isAlive: () => true,
  startOf: () => undefined,
};
