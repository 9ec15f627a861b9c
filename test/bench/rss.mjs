// Preloaded into a measured process (node --import): writes what it took to descriptor 3.
import { writeSync } from "node:fs";

process.on("exit", () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  writeSync(3, JSON.stringify({ maxRssKib: maxRSS, cpuMicroseconds: userCPUTime + systemCPUTime }));
});
