import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemErrorCode } from "../../formats/errors.js";
import { writeError } from "../run/write/encode.js";

/** Milliseconds between signs of life, and after how long without one a lock is nobody's. */
const HEARTBEAT = 5_000;
const STALE = 30_000;
const POLL = 200;

/**
 * Runs `work` while no other process of this program does so under the same lock file. It only saves work:
 * blobs are checked before they get their name, so two that write at once cannot leave a wrong one.
 */
export async function withLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const owner = `${hostname()} ${process.pid}`;
  while (!tryLock(path, owner)) {
    signal?.throwIfAborted();
    await delay(POLL);
  }
  const heartbeat = setInterval(() => touch(path), HEARTBEAT).unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    rmSync(path, { force: true });
  }
}

function tryLock(path: string, owner: string): boolean {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, owner, { flag: "wx" });
    return true;
  } catch (error) {
    if (systemErrorCode(error) !== "EEXIST") throw writeError(path, error);
    if (isAbandoned(path)) breakLock(path);
    return false;
  }
}

/** Nobody has touched it for a while, or its process on this machine is gone. */
function isAbandoned(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return false;
  if (Date.now() - stat.mtimeMs > STALE) return true;
  const [host, pid] = readOwner(path);
  return host === hostname() && !isAlive(Number(pid));
}

function readOwner(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split(" ");
  } catch {
    return []; // gone meanwhile
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return true; // still being written
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) !== "ESRCH";
  }
}

/** By a rename, of which only one of several that try at once succeeds. */
function breakLock(path: string): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
    rmSync(aside, { force: true });
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw writeError(path, error);
  }
}

function touch(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // taken from us: see above
  }
}
