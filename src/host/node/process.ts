import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";
import type { HostProcess } from "../types.js";

let place: string | undefined;

export const { ownPid, ownPlace, isAlive, startOf }: HostProcess = {
  ownPid: process.pid,
  // The machine, since it was started, and its space of process numbers.
  ownPlace: () => {
    place ??= [
      hostname(),
      attempt(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
      attempt(() => readlinkSync("/proc/self/ns/pid")),
    ]
      .join(" ")
      .trim();
    return place;
  },
  isAlive: (pid) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code !== "ESRCH";
    }
  },
  // Field 22 of proc(5)'s stat, behind a name that may have anything in it; there may be no proc.
  startOf: (pid) => {
    const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, "latin1"));
    return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  },
};

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
