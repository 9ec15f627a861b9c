import { cpus, totalmem } from "node:os";
import { formatBytes } from "../../ui.js";

/** When and where something was measured. */
export interface Made {
  readonly date: Date;
  readonly machine: string;
}

/** Now, on this machine. */
export function madeHere(): Made {
  const cores = cpus();
  const model = cores[0]?.model.replace(/\s+/g, " ").trim() || process.arch;
  const system = `${process.platform} ${process.arch}, Node ${process.versions.node}`;
  return { date: new Date(), machine: `${model} × ${cores.length}, ${formatBytes(totalmem())}, ${system}` };
}

/** To the minute, in UTC. */
export function dateText(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
