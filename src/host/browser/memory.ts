import type { HostMemory } from "../types.js";

/** Bytes of a device that does not say, and the least that any is taken for. */
const UNKNOWN = 2 ** 31;

/** Bytes of memory that the device has; undefined where the browser does not say. */
export function deviceMemory(): number | undefined {
  const { deviceMemory: gigabytes } = navigator as { deviceMemory?: number };
  return gigabytes === undefined ? undefined : gigabytes * 2 ** 30;
}

export const { availableMemory, peakResident }: HostMemory = {
  // A page is one of many programs, and what the others have cannot be seen.
  availableMemory: () => (deviceMemory() ?? UNKNOWN) / 4,
  peakResident: () => 0,
};
