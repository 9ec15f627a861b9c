import { cpus, totalmem } from "node:os";
import { t } from "../../language/t.js";
import { formatBytes } from "../../ui.js";
import { VERSION } from "../../version.js";

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

/** By what, when and where a page was made, as far as that is to be said. */
export function madeText(made: Made | undefined): string {
  if (made === undefined) return t`Made by llq ${VERSION}.`;
  return t`Made by llq ${VERSION} on ${dateText(made.date)}, on ${made.machine}.`;
}
