import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { CLI, expectWhole, type Ground, SAMPLES, sleep } from "./task.js";

/** What must be in PATH. */
export const SLURM_PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "scancel"];

const PARTS = 4;
/** The part that is killed. */
const KILLED = 3;
const PATIENCE = 1_800_000;
/** Milliseconds for the daemons to go. */
const STOPPING = 30_000;

/**
 * A Slurm of this machine alone, its daemons on loopback, runs samples/cluster/slurm-submit.sh: an array whose third task is
 * killed with -9 when it has done something, and the job that finishes.
 */
export async function checkSlurm(ground: Ground): Promise<void> {
  const cluster = await Cluster.start();
  const stop = () => cluster.stop();
  process.once("exit", stop);
  try {
    const output = join(ground.scratch, "slurm.gguf");
    const submit = ["bash", join(SAMPLES, "slurm-submit.sh"), ground.model, output, `${PARTS}`];
    const [array, finish] = cluster.run(submit).trim().split(" ") as [string, string];
    const record = `${output}.part-${KILLED}-of-${PARTS}`;
    await until("the third part begins", () => existsSync(record) && statSync(record).size > 20_000);
    const pid = processOf(["quantize", output, `slurm1/${PARTS}`], `SLURM_ARRAY_TASK_ID=${KILLED}`);
    process.kill(pid, "SIGKILL");
    await until("finish ends", () => !["PENDING", "RUNNING", "COMPLETING"].includes(cluster.state(finish)));
    const log = readFileSync(join(cluster.folder, `llq-finish-${finish}.log`), "utf8");
    if (cluster.state(finish) !== "COMPLETED") throw new Error(`finish is ${cluster.state(finish)}: ${log}`);
    const states = Array.from({ length: PARTS }, (_, i) => cluster.state(`${array}_${i + 1}`));
    const killedLog = readFileSync(join(cluster.folder, `llq-part-${array}_${KILLED}.log`), "utf8");
    const resumed = /(.*) of them were done already/.exec(killedLog)?.[1];
    if (resumed === undefined) throw new Error(`the killed task did not go on: ${killedLog}`);
    await expectWhole(ground, output);
    console.log(
      `Slurm ${cluster.version()}: array of ${PARTS} (${states.join(", ")}), task ${KILLED} killed with -9 and requeued ` +
        `(${resumed} weights were done), finish by afterany, same sha256`,
    );
    rmSync(output);
  } finally {
    process.off("exit", stop);
    stop();
  }
}

/** Of llq with these arguments and this variable. */
function processOf(args: readonly string[], variable: string): number {
  const read = (pid: string, name: string) => {
    try {
      return readFileSync(`/proc/${pid}/${name}`, "utf8").split("\0");
    } catch {
      return [];
    }
  };
  const found = readdirSync("/proc").find((pid) => {
    const words = /^\d+$/.test(pid) ? read(pid, "cmdline") : [];
    return args.every((arg) => words.includes(arg)) && read(pid, "environ").includes(variable);
  });
  if (found === undefined) throw new Error(`no process with ${variable} runs llq ${args.join(" ")}`);
  return Number(found);
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const end = Date.now() + PATIENCE; !isSo(); await sleep(200)) {
    if (Date.now() > end) throw new Error(`waited ${PATIENCE / 1000} s until ${what}`);
  }
}

class Cluster {
  /** Of its configuration, its state and its jobs' logs. */
  readonly folder: string;
  readonly #pids: string[] = [];

  private constructor() {
    // short, for the names of sockets; munged wants to see that nobody else writes there
    this.folder = mkdtempSync(join(tmpdir(), "llq-slurm-"));
    chmodSync(this.folder, 0o755);
  }

  static async start(): Promise<Cluster> {
    const cluster = new Cluster();
    try {
      await cluster.#start();
      return cluster;
    } catch (error) {
      for (const name of ["munged.log", "slurmctld.log", "slurmd.log"]) {
        const path = join(cluster.folder, name);
        if (existsSync(path)) console.error(`${name}:\n${readFileSync(path, "utf8").slice(-2000)}`);
      }
      cluster.stop();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const place = (name: string) => join(this.folder, name);
    mkdirSync(place("bin"));
    const llq = `#!/bin/sh\nexec ${quoted(process.execPath)} ${quoted(CLI)} "$@"\n`;
    writeFileSync(place("bin/llq"), llq, { mode: 0o755 });
    writeFileSync(place("munge.key"), randomBytes(128), { mode: 0o400 });
    writeFileSync(place("slurm.conf"), await configuration(this.folder));
    writeFileSync(place("cgroup.conf"), "CgroupPlugin=cgroup/v1\n");
    for (const name of ["state", "spool"]) mkdirSync(place(name));
    this.#daemon("munged", [
      ...[
        "--key-file",
        place("munge.key"),
        "--socket",
        place("munge.socket"),
        "--pid-file",
        place("munged.pid"),
      ],
      ...["--log-file", place("munged.log"), "--seed-file", place("munge.seed"), "--force"],
    ]);
    await until("munged is there", () => existsSync(place("munge.socket")));
    this.#daemon("slurmctld", ["-f", place("slurm.conf"), "-c"]);
    this.#daemon("slurmd", ["-f", place("slurm.conf"), "-N", hostname()]);
    const idle = () => {
      try {
        return /State=IDLE/.test(this.run(["scontrol", "show", "node"]));
      } catch {
        return false; // the controller is on its way
      }
    };
    for (let tries = 0; !idle(); tries++) {
      if (tries > 60) throw new Error("Slurm's node does not come up");
      await sleep(1000);
    }
  }

  /** Daemons leave this process and say in a file who they are. */
  #daemon(program: string, args: readonly string[]): void {
    this.#pids.push(join(this.folder, `${program}.pid`));
    spawn(program, args, { env: this.#env(), stdio: ["ignore", "ignore", "inherit"] });
  }

  #env(): NodeJS.ProcessEnv {
    const { folder } = this;
    return {
      ...process.env,
      SLURM_CONF: join(folder, "slurm.conf"),
      PATH: `${join(folder, "bin")}:${process.env.PATH}`,
    };
  }

  run([program, ...args]: readonly string[]): string {
    const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
    return execFileSync(program!, args, { encoding: "utf8", env: this.#env(), cwd: this.folder, stdio });
  }

  /** Of a job, or a task of an array. */
  state(job: string): string {
    const shown = this.run(["scontrol", "show", "job", job]);
    return /JobState=(\w+)/.exec(shown)?.[1] ?? "?";
  }

  version(): string {
    return this.run(["scontrol", "--version"]).trim().split(" ").at(-1)!;
  }

  stop(): void {
    try {
      this.run(["scancel", "--full", "--user", userInfo().username]);
    } catch {
      // there is no controller
    }
    const pids = this.#pids.toReversed().flatMap((path) => {
      try {
        return Number(readFileSync(path, "utf8"));
      } catch {
        return []; // it never was
      }
    });
    const alive = pids.filter((pid) => signal(pid, "SIGTERM"));
    // they write down their state; what is called while a process ends cannot wait otherwise
    for (const end = Date.now() + STOPPING; alive.some((pid) => signal(pid, 0)) && Date.now() < end; )
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  }
}

/** Whether there is such a process. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

async function configuration(folder: string): Promise<string> {
  const user = userInfo().username;
  const [controller, daemon] = [await freePort(), await freePort()];
  return `ClusterName=llq
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmctldPort=${controller}
SlurmdPort=${daemon}
SlurmUser=${user}
SlurmdUser=${user}
AuthType=auth/munge
AuthInfo=socket=${folder}/munge.socket
CredType=cred/munge
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
MpiDefault=none
ReturnToService=2
MinJobAge=86400
KillWait=5
SlurmdParameters=config_overrides
NodeName=${hostname()} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4096 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
