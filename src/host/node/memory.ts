import process from "node:process";
import type { HostMemory } from "../types.js";

export const { availableMemory, peakResident }: HostMemory = {
  availableMemory: () => process.availableMemory(),
  peakResident: () => process.resourceUsage().maxRSS * 1024, // from KiB
};
