import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CLI, expectWhole, type Ground, SAMPLES, sleep } from "./task.js";

const PARTS = 5;
/** So many runs are killed while they work. */
const KILLS = 3;

/** samples/cluster/parallel.sh, of whose tasks some are killed with -9: GNU parallel starts them again. */
export async function checkParallel(ground: Ground): Promise<void> {
  const bin = join(ground.scratch, "bin");
  mkdirSync(bin, { recursive: true });
  const quoted = [process.execPath, CLI].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  writeFileSync(join(bin, "llq"), `#!/bin/sh\nexec ${quoted.join(" ")} "$@"\n`, { mode: 0o755 });
  const output = join(ground.scratch, "by parallel.gguf");
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  const child = spawn("bash", [join(SAMPLES, "parallel.sh"), ground.model, output, `${PARTS}`], {
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = new Promise((resolve) => child.on("exit", (code, signal) => resolve(signal ?? code)));
  const killed = new Set<string>();
  let isOver = false;
  const kill = async () => {
    while (!isOver && killed.size < KILLS) {
      await sleep(500);
      for (const { pid, part } of tasksOf(output)) {
        if (killed.has(part) || killed.size >= KILLS) continue;
        const record = `${output}.part-${part.replace("/", "-of-")}`;
        if (sizeOf(record) < 16_000) continue;
        process.kill(pid, "SIGKILL");
        killed.add(part);
      }
    }
  };
  const [end] = await Promise.all([ended.finally(() => (isOver = true)), kill()]);
  if (end !== 0) throw new Error(`parallel.sh ended with ${end}`);
  await expectWhole(ground, output);
  const rows = readFileSync(`${output}.joblog`, "utf8").trim().split("\n").length - 1;
  console.log(
    `GNU parallel: ${PARTS} parts, ${killed.size} killed with -9 (${[...killed].join(", ")}), ` +
      `${rows} rows in its log, same sha256`,
  );
  for (const path of [output, `${output}.joblog`]) rmSync(path);
}

function tasksOf(output: string): { pid: number; part: string }[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const part = words[words.indexOf("--part") + 1]!;
      return words.includes(CLI) && words.includes(output) && words.includes("--part")
        ? [{ pid: Number(pid), part }]
        : [];
    } catch {
      return []; // it has ended
    }
  });
}

function sizeOf(path: string): number {
  try {
    return readFileSync(path).length;
  } catch {
    return 0;
  }
}
