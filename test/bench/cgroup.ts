import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup";
/** Where groups go, and the file that has the limit, in the second version of control groups and in the first. */
const VERSIONS = [
  { folder: ROOT, isThere: () => hasMemoryController(), limit: "memory.max" },
  { folder: `${ROOT}/memory`, isThere: () => true, limit: "memory.limit_in_bytes" },
] as const;

/** A control group of Linux: processes in it get no more memory than its limit, page cache included. */
export interface MemoryGroup {
  /** Processes that write their id here are in the group. */
  readonly procs: string;
  remove(): void;
}

/** Undefined where groups cannot be made: another system, or no rights. */
export function createMemoryGroup(bytes: number): MemoryGroup | undefined {
  for (const { folder, isThere, limit } of VERSIONS) {
    if (!existsSync(folder) || !isThere()) continue;
    const group = join(folder, `llq-bench-${process.pid}-${bytes}`);
    try {
      mkdirSync(group);
      writeFileSync(join(group, limit), String(bytes));
      return { procs: join(group, "cgroup.procs"), remove: () => rmdirSync(group) };
    } catch {
      if (existsSync(group)) rmdirSync(group);
    }
  }
  return undefined;
}

function hasMemoryController(): boolean {
  const file = `${ROOT}/cgroup.subtree_control`;
  return existsSync(file) && readFileSync(file, "utf8").split(/\s/).includes("memory");
}
