// usage: npm run cluster -- [slurm|parallel|kills|speed|finish|large ...] [--model folder] [--folder scratch]
// Parts as clusters run them, for real: under a Slurm of this machine alone, which is started for it, under GNU parallel, as
// plain processes in random order with kills; and what parts cost. 2.2 GB of a synthetic model and up to 5 GB of outputs.
// Not part of CI: ten minutes of two cores.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PRESETS } from "../support/shapes.js";
import { writeSynthetic } from "../synthetic.js";
import { checkFinish } from "./finish.js";
import { checkKills } from "./kills.js";
import { checkLarge } from "./large.js";
import { checkParallel } from "./parallel.js";
import { checkSlurm, SLURM_PROGRAMS } from "./slurm.js";
import { checkSpeed } from "./speed.js";
import { type Ground, quantizeArgs, runLlq, sha256 } from "./task.js";

const CHECKS: Readonly<
  Record<string, { run: (ground: Ground) => Promise<void>; needs?: readonly string[]; install?: string }>
> = {
  slurm: { run: checkSlurm, needs: SLURM_PROGRAMS, install: "apt-get install slurm-wlm munge, or the like" },
  parallel: { run: checkParallel, needs: ["parallel"], install: "apt-get install parallel, or the like" },
  kills: { run: checkKills },
  speed: { run: checkSpeed },
  finish: { run: checkFinish },
  large: { run: checkLarge },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { model: { type: "string" }, folder: { type: "string", default: tmpdir() } },
});
const chosen = positionals.length > 0 ? positionals : Object.keys(CHECKS);

/** What stands in the way, in words. */
function missing(name: string): string | undefined {
  const check = CHECKS[name];
  if (check === undefined) return `there is no check ${name}, only ${Object.keys(CHECKS).join(", ")}`;
  const isThere = (program: string) =>
    spawnSync("sh", ["-c", 'command -v "$0"', program], { stdio: "ignore" }).status === 0;
  const absent = (check.needs ?? []).filter((program) => !isThere(program));
  return absent.length === 0 ? undefined : `${name} needs ${absent.join(", ")} in PATH: ${check.install}`;
}

async function main(): Promise<number> {
  const faults = chosen.flatMap((name) => missing(name) ?? []);
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) return 2;
  const scratch = mkdtempSync(join(values.folder, "llq cluster 100%-"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  let failed = 0;
  try {
    const model = values.model ?? join(scratch, "model");
    if (values.model === undefined) writeSynthetic(model, PRESETS["llama-1.1b"]);
    let whole: Promise<string> | undefined;
    const ground: Ground = { model, scratch, whole: () => (whole ??= oneRun()) };
    const oneRun = async () => {
      const output = join(scratch, "whole.gguf");
      await runLlq(quantizeArgs(ground, output, undefined, "2"));
      const hash = await sha256(output);
      rmSync(output);
      return hash;
    };
    for (const name of chosen) {
      try {
        await CHECKS[name]!.run(ground);
      } catch (error) {
        failed++;
        console.error(`${name}: ${error instanceof Error ? error.message : error}`);
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main();
