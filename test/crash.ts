// usage: npm run crash -- [seed]
// Kills `llq quantize` at random moments and at chosen writes, and fills its disk at chosen writes. Every time the
// final name must be absent or hold the right file, the input must be untouched, and --resume must give the same
// bytes as an uninterrupted run. Chosen writes need strace; the rest runs anywhere.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Random } from "./support/random.js";
import { writeSynthetic } from "./synthetic.js";

const CLI = fileURLToPath(new URL("../src/cli.js", import.meta.url));
const KILLS = 30;
const FULL_DISKS = 10;
const NO_SPACE = 5;

const seed = Number(process.argv[2] ?? Date.now() % 1e6);
const random = new Random(seed);
const scratch = mkdtempSync(join(tmpdir(), "llq-crash-"));
const model = join(scratch, "model");
const output = join(scratch, "out.gguf");
let failures = 0;

function check(holds: boolean, what: string): void {
  if (holds) return;
  failures++;
  console.error(`FAILED: ${what}`);
}

const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const inputs = () =>
  readdirSync(model)
    .map((name) => sha256(join(model, name)))
    .join();
const command = (...more: string[]) => [CLI, "quantize", model, "-o", output, "--type", "Q8_0", ...more];

function finish(what: string, expected: string, input: string): void {
  check(!existsSync(output) || sha256(output) === expected, `${what}: the final name holds a wrong file`);
  const run = spawnSync(process.execPath, command("--resume", "--force"), { encoding: "utf8" });
  check(run.status === 0, `${what}: --resume ended with ${run.status}: ${run.stderr}`);
  check(existsSync(output) && sha256(output) === expected, `${what}: --resume gave another file`);
  check(inputs() === input, `${what}: the input has changed`);
  const left = readdirSync(scratch).filter((name) => name.includes("partial"));
  check(left.length === 0, `${what}: left behind ${left}`);
  rmSync(output, { force: true });
}

/** Runs the command and kills it after `milliseconds`; resolves when it is gone. */
function killAfter(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, command("--force"), { stdio: "ignore" });
    const timer = setTimeout(() => child.kill("SIGKILL"), milliseconds);
    child.on("exit", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Runs the command so that the `when`th positional write of its one worker meets `fate`. */
function injectAtWrite(when: number, fate: string): number | null {
  const inject = [
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=pwrite64",
    "-e",
    `inject=pwrite64:${fate}:when=${when}`,
  ];
  return spawnSync("strace", [...inject, process.execPath, ...command("--force", "-j", "1")], {
    stdio: "ignore",
  }).status;
}

/** How many positional writes the worker of an undisturbed run makes: strace counts each thread's own. */
function countWrites(): number {
  const log = join(scratch, "writes");
  const args = [
    "-f",
    "-qq",
    "-o",
    log,
    "-e",
    "trace=pwrite64",
    process.execPath,
    ...command("--force", "-j", "1"),
  ];
  spawnSync("strace", args, { stdio: "ignore" });
  const count = readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line.includes("pwrite64(")).length;
  rmSync(log);
  return count - 1; // the header is the main thread's
}

try {
  console.log(`seed ${seed}`);
  writeSynthetic(model, { hidden: 512, layers: 8, heads: 8, kvHeads: 4, ffn: 2048, vocab: 8192 });
  const input = inputs();
  const started = performance.now();
  spawnSync(process.execPath, command());
  const duration = performance.now() - started;
  const expected = sha256(output);
  rmSync(output);

  for (let i = 0; i < KILLS; i++) {
    const at = random.below(duration);
    await killAfter(at);
    finish(`killed after ${at.toFixed(0)} of ${duration.toFixed(0)} ms`, expected, input);
  }
  console.log(`${KILLS} kills at random moments done`);

  if (spawnSync("strace", ["-V"]).error !== undefined) {
    console.log("no strace here: kills and full disks at chosen writes are NOT checked");
  } else {
    const writes = countWrites();
    finish("traced", expected, input);
    for (let i = 0; i < KILLS; i++) {
      const when = 1 + Math.floor((i / KILLS) * writes);
      injectAtWrite(when, "signal=KILL");
      finish(`killed at write ${when} of ${writes}`, expected, input);
    }
    console.log(`${KILLS} kills at chosen writes of ${writes} done`);
    for (let i = 0; i < FULL_DISKS; i++) {
      const when = 1 + Math.floor((i / FULL_DISKS) * writes);
      const status = injectAtWrite(when, "error=ENOSPC");
      check(status === NO_SPACE, `disk full at write ${when}: status ${status}`);
      check(!existsSync(output), `disk full at write ${when}: there is an output`);
      finish(`disk full at write ${when}`, expected, input);
    }
    console.log(`${FULL_DISKS} full disks done`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(failures === 0 ? "all held" : `${failures} failures, seed ${seed}`);
process.exitCode = failures === 0 ? 0 : 1;
