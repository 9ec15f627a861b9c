import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const CLI = fileURLToPath(new URL("../../src/cli.js", import.meta.url));
export const ROOT = new URL("../../../", import.meta.url).pathname;
export const TINY_LLAMA = join(ROOT, "samples/tiny-llama");
export const hasStrace = spawnSync("strace", ["-V"]).error === undefined;

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What stands before the program on the command line, such as strace and its options. */
  readonly under?: readonly string[];
  /** Told of the process as soon as it is there. */
  readonly started?: (child: ChildProcess) => void;
  readonly timeout?: number;
}

/** Runs llq to its end, whatever that is. */
export function llq(args: readonly string[], options: RunOptions): Promise<Ended> {
  const { cwd, env = {}, under = [], started, timeout = 60_000 } = options;
  const [command, ...rest] = [...under, process.execPath, CLI, ...args];
  const begun = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command!, rest, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    const timer = setTimeout(() => child.kill("SIGKILL"), timeout);
    started?.(child);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, output, ms: performance.now() - begun });
    });
  });
}

export const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

/** Of every file below a folder, by its path. */
export function hashes(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    files.map(({ parentPath, name }) => [join(parentPath, name), sha256(join(parentPath, name))]),
  );
}
