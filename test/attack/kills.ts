import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeHub } from "../support/hub-server.js";
import type { Random } from "../support/random.js";
import { hashes, hasStrace, llq, sha256, TINY_LLAMA } from "./run.js";
import { type Scenario, SPLIT, scenarios } from "./scenarios.js";

/** System calls at which a run is killed, or which are made to fail. */
const CALLS = ["pwrite64", "write", "fsync", "rename", "openat", "ftruncate", "unlink"];

export class Kills {
  readonly folder = mkdtempSync(join(tmpdir(), "llq-kills-"));
  readonly failures: string[] = [];
  readonly #random: Random;
  readonly #hub = new FakeHub({});
  #inputs: Record<string, string> = {};

  constructor(random: Random) {
    this.#random = random;
  }

  /** Kills runs at random moments and at chosen system calls, `count` in all, and has each gone on with. */
  async kill(count: number): Promise<void> {
    const scenarios = await this.#prepare();
    for (const [i, scenario] of scenarios.entries()) {
      const expected = await this.#undisturbed(scenario);
      const own = Math.floor(count / scenarios.length) + (i < count % scenarios.length ? 1 : 0);
      let [midway, done] = [0, 0];
      while (done < own) {
        // What goes on where a run was killed is killed, too, up to twice.
        const links = Math.min(own - done, 1 + this.#random.below(3));
        const chain: string[] = [];
        for (; chain.length < links; done++) {
          const more = chain.length === 0 ? [] : scenario.again;
          chain.push(
            hasStrace && done % 2 === 1
              ? await this.#killAtCall(scenario, more)
              : await this.#killAtRandom(scenario, more, expected.ms),
          );
          if (this.#isMidway()) midway++;
          this.#check(`${scenario.name}, ${chain.join(", ")}`, scenario, expected.hashes);
        }
        await this.#finish(`${scenario.name}, ${chain.join(", ")}`, scenario, expected.hashes);
      }
      console.log(`${scenario.name}: ${own} kills, ${midway} of them midway, each gone on with`);
    }
    if (!hasStrace) console.log("no strace here: kills at chosen system calls are NOT checked");
  }

  /** Has system calls fail, `count` in all: the disk full, broken, read-only, or lying about what it wrote. */
  async fail(count: number): Promise<void> {
    if (!hasStrace) {
      console.log("no strace here: failing system calls are NOT checked");
      return;
    }
    const scenarios = (await this.#prepare()).filter(({ clear }) => clear === undefined);
    const statuses = new Map<number | null, number>();
    for (let turn = 0; turn < count; turn++) {
      const scenario = scenarios[turn % scenarios.length]!;
      const expected = await this.#undisturbed(scenario);
      const [call, fate] = this.#random.pick([
        ...["ENOSPC", "EIO", "EDQUOT"].map((error) => ["pwrite64", `error=${error}`] as const),
        ...["ENOSPC", "EROFS"].map((error) => ["ftruncate", `error=${error}`] as const),
        ...["EIO", "ENOSPC"].map((error) => ["fsync", `error=${error}`] as const),
        ["rename", "error=EROFS"] as const,
        ["pwrite64", "retval=16"] as const, // a short write, of nothing
      ]);
      const when = 1 + this.#random.below(call === "pwrite64" ? 40 : 2);
      const { status } = await this.#inject(scenario, call, fate, when);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const what = `${scenario.name}, ${call} ${fate} at ${when}`;
      if (![0, 5].includes(status ?? -1)) this.failures.push(`${what}: status ${status}`);
      if (
        status === 0 &&
        scenario.outputs.some((output) => sha256(join(this.folder, output)) !== expected.hashes[output])
      )
        this.failures.push(`${what}: status 0 and another file`);
      await this.#finish(what, scenario, expected.hashes);
    }
    console.log(
      `${count} failing system calls, by status ${JSON.stringify([...statuses])}, sources untouched`,
    );
  }

  async close(): Promise<void> {
    await this.#hub.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #prepared: Scenario[] | undefined;

  async #prepare(): Promise<Scenario[]> {
    if (this.#prepared !== undefined) return this.#prepared;
    const inputs = join(this.folder, "inputs");
    mkdirSync(inputs);
    cpSync(TINY_LLAMA, join(inputs, "model"), { recursive: true });
    writeFileSync(join(inputs, "text.txt"), "The cat sat on the mat. ".repeat(200));
    for (const name of readdirSync(TINY_LLAMA))
      this.#hub.files.set(name, readFileSync(join(TINY_LLAMA, name)));
    await this.#hub.start();
    this.#inputs = hashes(inputs);
    const env = { HF_HOME: join(this.folder, "home"), HF_ENDPOINT: this.#hub.endpoint, HF_TOKEN: "" };
    await llq(SPLIT, { cwd: this.folder });
    const parts = readdirSync(this.folder)
      .filter((name) => name.startsWith("split-"))
      .sort();
    this.#prepared = scenarios(parts, env);
    return this.#prepared;
  }

  readonly #expected = new Map<
    string,
    { readonly hashes: Readonly<Record<string, string>>; readonly ms: number }
  >();

  async #undisturbed(scenario: Scenario) {
    const known = this.#expected.get(scenario.name);
    if (known !== undefined) return known;
    this.#clear(scenario);
    const { ms, status, output } = await this.#run(scenario, []);
    if (status !== 0) throw new Error(`${scenario.name}: ${output}`);
    const found = {
      hashes: Object.fromEntries(scenario.outputs.map((path) => [path, sha256(join(this.folder, path))])),
      ms,
    };
    this.#expected.set(scenario.name, found);
    this.#clear(scenario);
    return found;
  }

  #run({ args, env = {} }: Scenario, more: readonly string[], options: object = {}) {
    return llq([...args, ...more], { cwd: this.folder, env, ...options });
  }

  async #killAtRandom(scenario: Scenario, more: readonly string[], ms: number): Promise<string> {
    const at = ms * (0.4 + 0.6 * (this.#random.below(1000) / 1000)); // before, the program is being loaded
    await this.#run(scenario, more, {
      started: (child: { kill(signal: string): void }) => setTimeout(() => child.kill("SIGKILL"), at),
    });
    return `killed after ${at.toFixed(0)} of ${ms.toFixed(0)} ms`;
  }

  async #killAtCall(scenario: Scenario, more: readonly string[]): Promise<string> {
    const call = this.#random.pick(CALLS);
    const when = 1 + this.#random.below({ pwrite64: 60, write: 60, openat: 400 }[call] ?? 4);
    await this.#inject(scenario, call, "signal=KILL", when, more);
    return `killed at ${call} ${when}`;
  }

  #inject(scenario: Scenario, call: string, fate: string, when: number, more: readonly string[] = []) {
    const under = [
      "strace",
      "-f",
      "-qq",
      "-o",
      "/dev/null",
      "-e",
      `trace=${call}`,
      "-e",
      `inject=${call}:${fate}:when=${when}`,
    ];
    return this.#run(scenario, [...more, "-j", "1"], { under });
  }

  #isMidway(): boolean {
    return readdirSync(this.folder).some((name) => name.includes(".partial"));
  }

  #isRight(path: string, expected: Readonly<Record<string, string>>): boolean {
    return existsSync(join(this.folder, path)) && sha256(join(this.folder, path)) === expected[path];
  }

  /** The final names are absent or right, and where the first is, all are. */
  #check(what: string, { outputs }: Scenario, expected: Readonly<Record<string, string>>): void {
    for (const path of outputs) {
      if (existsSync(join(this.folder, path)) && !this.#isRight(path, expected))
        this.failures.push(`${what}: ${path} is wrong`);
    }
    if (existsSync(join(this.folder, outputs[0]!)) && !outputs.every((path) => this.#isRight(path, expected)))
      this.failures.push(`${what}: not all parts are there`);
  }

  /** The same command goes on, and leaves nothing but its outputs. */
  async #finish(what: string, scenario: Scenario, expected: Readonly<Record<string, string>>): Promise<void> {
    const fail = (how: string) => this.failures.push(`${what}: ${how}`);
    this.#check(what, scenario, expected);
    const { status, output } = await this.#run(scenario, scenario.again);
    if (status !== 0) fail(`going on ended with ${status}: ${output}`);
    if (!scenario.outputs.every((path) => this.#isRight(path, expected))) fail("going on gave another file");
    if (JSON.stringify(hashes(join(this.folder, "inputs"))) !== JSON.stringify(this.#inputs))
      fail("an input has changed");
    const left = readdirSync(this.folder).filter((name) => name.includes(".partial"));
    if (left.length > 0) fail(`left behind ${left}`);
    this.#clear(scenario);
  }

  #clear({ outputs, clear }: Scenario): void {
    for (const name of readdirSync(this.folder))
      if (name.includes(".partial")) rmSync(join(this.folder, name));
    for (const path of outputs) rmSync(join(this.folder, path), { force: true });
    if (clear !== undefined) rmSync(join(this.folder, clear), { recursive: true, force: true });
  }
}
