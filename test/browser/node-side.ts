import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../../..");

/** What Node does with a job of node-job.ts, in a process of its own. */
export function inNode<T>(job: object): T {
  const script = join(import.meta.dirname, "node-job.js");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, JSON.stringify(job)], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

export function sha256Of(path: string): string {
  const hash = createHash("sha256");
  const piece = new Uint8Array(1 << 22);
  const fd = openSync(path, "r");
  for (let got = readSync(fd, piece); got > 0; got = readSync(fd, piece)) hash.update(piece.subarray(0, got));
  closeSync(fd);
  return hash.digest("hex");
}
