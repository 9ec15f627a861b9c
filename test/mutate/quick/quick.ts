import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Copy } from "../copy.js";
import { FAMILY_TESTS } from "../families.js";
import { type Instrumented, type Mutant, place, SWITCH } from "../instrumented.js";
import { type Ended, Server } from "../server-process.js";
import { quickTests, testsAlone, widerTests } from "./tests.js";

// Many mutants in one process: the sources are loaded once, and each mutant is a file of tests that switches it on and then
// imports the tests that are for it. What a module computes when it is loaded, its tables, is computed once, so mutants there
// cannot be tried like this. Every few mutants the same tests run unharmed: what a mutant has spoiled for good, say a cache,
// would be noticed there, and what was killed since the last time does not count.

export interface QuickResult {
  readonly mutant: Mutant;
  readonly fate: "killed" | "lived" | "timeout";
  readonly by: string;
}

/** Mutants between two runs of the same tests unharmed. */
const GROUP = 10;

/** Seconds without a word from the tests, beyond which a mutant goes round for ever. */
const SILENCE = 90;

export class Quick {
  readonly #copy: Copy;
  readonly #families: ReadonlyMap<string, string>;
  #count = 0;
  #server: Server | undefined;

  constructor(root: string, instrumented: Instrumented, families: ReadonlyMap<string, string>) {
    this.#families = families;
    this.#copy = new Copy(root);
    place(instrumented, this.#copy);
    mkdirSync(join(this.#copy.root, "test/mutants"));
  }

  /** The ids of mutants in what modules compute when they are loaded. */
  async static(sources: readonly string[]): Promise<Set<string>> {
    const imports = sources.map((name) => `await import("../../${name.replace(/\.ts$/, ".js")}");`);
    const file = this.#write([
      `import "../../formats/errors.js";`,
      "const met = new Set();",
      "globalThis.__mutants__.meet = (...ids) => { for (const id of ids) met.add(id); };",
      ...imports,
      "globalThis.__mutants__.meet = () => {};",
      `writeFileSync(${JSON.stringify(join(this.#copy.root, "static.json"))}, JSON.stringify([...met]));`,
      `test("loads", () => {});`,
    ]);
    await this.#run([file]);
    return new Set(JSON.parse(this.#copy.read("static.json")));
  }

  /** Tries mutants in groups until `end`. */
  async *try(mutants: Iterable<Mutant>, end: number): AsyncGenerator<QuickResult> {
    const waiting = mutants[Symbol.iterator]();
    while (performance.now() < end) {
      const group: Mutant[] = [];
      while (group.length < GROUP) {
        const next = waiting.next();
        if (next.done === true) break;
        group.push(next.value);
      }
      if (group.length === 0) return;
      yield* this.#group(group);
    }
  }

  /** Those that the quick tests let live meet some more. */
  async *#group(mutants: readonly Mutant[]): AsyncGenerator<QuickResult> {
    const lived: Mutant[] = [];
    for await (const result of this.#meet(mutants, quickTests, SILENCE)) {
      if (result.fate === "lived" && widerTests(result.mutant.file).length > 0) lived.push(result.mutant);
      else yield result;
    }
    if (lived.length === 0) return;
    for await (const result of this.#meet(lived, widerTests, 4 * SILENCE)) {
      const tests = result.fate === "lived" ? testsAlone(result.mutant.file) : [];
      yield tests.length === 0 ? result : this.#alone(result.mutant, tests);
    }
  }

  #alone(mutant: Mutant, tests: readonly string[]): QuickResult {
    const run = (active: string) => {
      this.#copy.write(SWITCH, JSON.stringify({ active }));
      return this.#copy.test(tests);
    };
    const { ok, timedOut } = run(mutant.id);
    if (ok) return { mutant, fate: "lived", by: "" };
    if (timedOut || !run("").ok) return { mutant, fate: "timeout", by: "tests in runs of their own" };
    return { mutant, fate: "killed", by: tests.join(", ") };
  }

  async *#meet(
    mutants: readonly Mutant[],
    testsFor: (file: string, isFamily: boolean) => string[],
    silence: number,
  ): AsyncGenerator<QuickResult> {
    const files = new Map<string, { mutant: Mutant; tests: readonly string[] }>();
    for (const mutant of mutants) {
      const names = this.#families.get(mutant.file);
      const tests = testsFor(mutant.file, names !== undefined);
      files.set(this.#write(this.#switched(mutant.id, tests, names)), { mutant, tests });
    }
    const ended = new Map<string, Ended>();
    const stuck = new Set<string>();
    for (let waiting = [...files.keys()]; waiting.length > 0; ) {
      const run = await this.#run(waiting, silence);
      for (const [file, result] of run.ended) ended.set(file, result);
      if (run.stuck === undefined) break;
      stuck.add(run.stuck);
      waiting = waiting.slice(waiting.indexOf(run.stuck) + 1);
    }
    const noticed = [...files].filter(([file]) => stuck.has(file) || ended.get(file)?.passed === false);
    const unharmed = await this.#unharmed(new Set(noticed.flatMap(([, { tests }]) => tests)), silence);
    for (const [file, { mutant }] of files) {
      const result = ended.get(file);
      if (result?.passed === true) yield { mutant, fate: "lived", by: "" };
      else if (!unharmed.passed) yield { mutant, fate: "timeout", by: "the tests fail unharmed" };
      else if (result !== undefined) yield { mutant, fate: "killed", by: result.failure ?? "does not load" };
      else if (unharmed.seconds < silence / 3) yield { mutant, fate: "killed", by: "goes round for ever" };
      else yield { mutant, fate: "timeout", by: "no word from the tests" };
    }
    if (!unharmed.passed) this.#end();
  }

  /** What the tests say without a mutant, and how long it takes. */
  async #unharmed(
    tests: ReadonlySet<string>,
    silence: number,
  ): Promise<{ passed: boolean; seconds: number }> {
    const quick = [...tests].filter((test) => !FAMILY_TESTS.includes(test)); // these take minutes for all families
    if (quick.length === 0) return { passed: true, seconds: 0 };
    const file = this.#write(this.#switched("", quick, undefined));
    const from = performance.now();
    const { ended } = await this.#run([file], silence);
    const check = ended.get(file);
    const passed = check?.passed === true;
    if (!passed)
      console.log(`the unharmed tests failed, kills do not count: ${check?.failure ?? "no word from them"}`);
    return { passed, seconds: (performance.now() - from) / 1000 };
  }

  #switched(id: string, tests: readonly string[], names: string | undefined): string[] {
    // Tests of all families have a family's name in front.
    const all = `/^(${[...this.#families.values()].map((each) => each.slice(2, -2)).join("|")}) /`;
    const own =
      names === undefined
        ? []
        : [`  if (${all}.test(nameOf(task)) && !/${names}/.test(nameOf(task))) skip();`];
    return [
      `import "../../formats/errors.js";`,
      `writeFileSync(${JSON.stringify(join(this.#copy.root, SWITCH))}, '{"active":${JSON.stringify(id)}}');`,
      `globalThis.__mutants__.active = ${JSON.stringify(id)};`,
      "let failed = false;",
      "const nameOf = (task) => (task.suite && task.suite !== task.file ? nameOf(task.suite) : '') + task.name + ' ';",
      "beforeEach(({ task, skip, onTestFailed }) => {",
      "  if (failed) skip();",
      ...own,
      "  onTestFailed(() => { failed = true; });",
      "});",
      ...tests.map((test) => `await import("../../${test}?${this.#count}");`),
      `afterAll(() => { globalThis.__mutants__.active = ""; });`,
    ];
  }

  #write(lines: readonly string[]): string {
    const name = `test/mutants/m${String(this.#count++).padStart(6, "0")}.test.ts`;
    const head = [
      "// @ts-nocheck",
      `import { writeFileSync } from "node:fs";`,
      `import { afterAll, beforeEach, test } from "vitest";`,
    ];
    this.#copy.write(name, `${[...head, ...lines].join("\n")}\n`);
    return join(this.#copy.root, name);
  }

  async #run(files: readonly string[], silence = SILENCE) {
    this.#server ??= await Server.start("quick/server.js", this.#copy.root);
    const { ended, stuck } = await this.#server.runAll(files, silence);
    if (stuck !== undefined) this.#end();
    return { ended, stuck };
  }

  #end(): void {
    this.#server?.end();
    this.#server = undefined;
  }

  close(): void {
    this.#end();
    this.#copy.remove();
  }
}
