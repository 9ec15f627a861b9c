import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const folder = scratchFolder();
const text = join(folder, "text.txt");
const sample = readFileSync(new URL("../../samples/text.txt", import.meta.url), "utf8");
writeFileSync(text, sample.slice(0, 1600));
const short = join(folder, "short.txt");
writeFileSync(short, sample.slice(0, 40));
const FEW = ["--calibrate-tokens", "512"];
const QUANTIZE = ["quantize", TINY_LLAMA, "--type", "Q4_K_M"];

/** Runs the built program as a user would. */
function llq(...args: string[]) {
  return spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", cwd: folder });
}

test.each([
  [["--calibrate-tokens", "100"], 2, "--calibrate-tokens means nothing without --calibrate"],
  [["--effort", "full"], 2, "--effort means nothing without --calibrate"],
  [["--calibrate", text, "--prune-layers", "1"], 2, "all its layers"],
  [["--calibrate", text, "--scratch", "nowhere"], 2, "the folder nowhere does not exist"],
  [["--calibrate", text, "--max-memory", "1M"], 5, "calibration needs"],
  [["--calibrate", "nothing.txt"], 3, "nothing.txt"],
  [["--calibrate", short], 3, "the text has 16 tokens; calibration needs 32"],
  [["--calibrate", text, "--type", "F16"], 2, "no matrix of a layer gets a type it can round"],
])("%j ends with %i", (options, status, message) => {
  const run = llq(...QUANTIZE, "-o", "refused.gguf", ...options);
  expect(run.stderr).toContain(message);
  expect(run.status).toBe(status);
  expect(readdirSync(folder).filter((name) => name.startsWith("refused"))).toEqual([]);
});

test("a dry run says by what the file would be calibrated, and writes nothing", () => {
  const run = llq(...QUANTIZE, "-o", "dry.gguf", "--calibrate", text, "--dry-run");
  expect(run.status).toBe(0);
  expect(run.stdout).toMatch(/error feedback, full: \d+ chunks of \d+ tokens of/);
  expect(existsSync(join(folder, "dry.gguf"))).toBe(false);
});

test("a run that is killed goes on, with the bytes of one that is not, and leaves no scratch file", async () => {
  const scratch = join(folder, "scratch");
  mkdirSync(scratch);
  const options = ["--calibrate", text, ...FEW, "--scratch", scratch];
  const whole = llq(...QUANTIZE, "-o", "whole.gguf", ...options, "--json");
  expect(whole.stderr).toContain("3840 and more are better");
  const { calibration } = JSON.parse(whole.stdout);
  expect(calibration.tensors).toHaveLength(29);
  expect(calibration.tensors[0]).toMatchObject({ name: "blk.0.attn_q.weight", dtype: "Q4_K" });

  const args = [...QUANTIZE, "-o", "killed.gguf", ...options];
  const killed = spawn(process.execPath, [CLI, ...args], { cwd: folder, stdio: "ignore" });
  const ended = once(killed, "exit");
  while (!readdirSync(scratch).some((name) => name.endsWith(".journal")) && killed.exitCode === null)
    await sleep(5);
  killed.kill("SIGKILL");
  await ended;
  expect(existsSync(join(folder, "killed.gguf"))).toBe(false);
  const resumed = llq(...args, "--resume");
  expect(resumed.stderr).not.toContain("error");
  expect(resumed.stdout).toMatch(/\d+ of \d+ steps were done already/);
  const bytes = (name: string) => readFileSync(join(folder, name));
  expect(bytes("killed.gguf").equals(bytes("whole.gguf"))).toBe(true);
  expect(readdirSync(scratch)).toEqual([]);

  const other = llq(...args, "-f", "--resume", "--effort", "plain");
  expect(other.status).toBe(0); // nothing is left of the runs before
});

test("a full disk is said, nothing is left but what was done, and the run goes on", () => {
  const args = [...QUANTIZE, "-o", "full.gguf", "--calibrate", text, "--calibrate-tokens", "256", "-j", "1"];
  // The scratch file is larger than a file may be: as on a full disk, writing fails in the middle.
  const limited = `trap '' XFSZ; ulimit -f 3200; exec "$@"`;
  const full = spawnSync("bash", ["-c", limited, "bash", process.execPath, CLI, ...args], {
    encoding: "utf8",
    cwd: folder,
  });
  expect(full.status).toBe(5);
  expect(full.stderr).toContain("full.gguf.calibration");
  expect(existsSync(join(folder, "full.gguf"))).toBe(false);
  const again = llq(...args, "--resume");
  expect(again.status).toBe(0);
  expect(readdirSync(folder).filter((name) => name.startsWith("full"))).toEqual(["full.gguf"]);
});

test("types without a grid get scales by the text", () => {
  const args = ["--calibrate", text, "--calibrate-tokens", "256"];
  const run = llq("quantize", TINY_LLAMA, "-o", "codebook.gguf", "--type", "IQ1_M", ...args);
  expect(run.status).toBe(0);
  expect(run.stdout).toContain("of IQ1_M, which have no grid: the text chose their scales, no more");
  const again = llq("verify", "codebook.gguf", "--source", TINY_LLAMA, ...args);
  expect(again.status).toBe(0);
});

test("verify says what it can of such a file without the text, and all with it", () => {
  const source = ["--source", TINY_LLAMA];
  const plain = llq("verify", "whole.gguf", ...source);
  expect(plain.status).toBe(0);
  expect(plain.stdout).toContain("types, shapes and bounds were compared");
  const again = llq("verify", "whole.gguf", ...source, "--calibrate", text, ...FEW);
  expect(again.status).toBe(0);
  expect(again.stdout).not.toContain("bounds were compared");
  const other = llq("verify", "whole.gguf", ...source, "--calibrate", text, ...FEW, "--effort", "plain");
  expect(other.status).toBe(1);
  expect(other.stdout).toContain("is not what calibrating afresh gives");
});

test("a file of a size is calibrated too, in parts", () => {
  const size = ["--target-size", "2MB", "--split-max-size", "1M"];
  const run = llq("quantize", TINY_LLAMA, "-o", "sized.gguf", ...size, "--calibrate", text, ...FEW);
  expect(run.status).toBe(0);
  const parts = readdirSync(folder).filter((name) => name.startsWith("sized"));
  expect(parts.length).toBeGreaterThan(1);
  expect(llq("verify", parts.sort()[0]!, "--source", TINY_LLAMA).status).toBe(0);
});
