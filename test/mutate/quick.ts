import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Copy } from "./copy.js";
import { FAMILY_TESTS, FIELD_TESTS } from "./families.js";
import { type Instrumented, type Mutant, place, SWITCH } from "./instrumented.js";
import { Server } from "./server-process.js";

// Many mutants in one process: the sources are loaded once, and each mutant is a file of tests that switches it on and then
// imports the tests that are for it. What a module computes when it is loaded, its tables, is computed once, so mutants there
// cannot be tried like this. Every few mutants the same tests run unharmed: what a mutant has spoiled for good, say a cache,
// would be noticed there, and what was killed since the last time does not count.

/** Tests by source, in-process ones that take seconds. */
const TESTS: readonly (readonly [source: RegExp, ...tests: string[]])[] = [
  [/^formats\/flax\//, "formats/flax", "formats/properties"],
  [/^formats\/imatrix\//, "formats/imatrix", "formats/properties"],
  [/^formats\/llama2c\//, "formats/llama2c"],
  [/^formats\/safetensors\//, "formats/safetensors", "formats/properties"],
  [/^formats\/sentencepiece\//, "formats/sentencepiece"],
  [/^formats\/torch\//, "formats/torch"],
  [/^formats\/gguf\//, "formats/gguf", "formats/properties", "formats/budgets", "formats/big-endian"],
  [/^formats\//, "formats/gguf", "formats/safetensors", "formats/properties", "formats/dtype", "quant/words"],
  [/^src\/quant\/fit\//, "quant/fit", "quant/fit-hybrids", "quant/fit-latent"],
  [/^src\/quant\/recipes\//, "quant/words", "quant/keep", "quant/plan"],
  [/^src\/quant\/by-size\//, "quant/by-size"],
  [/^src\/quant\//, "quant/words", "quant/keep", "quant/properties", "quant/plan"],
  [/^src\/run\/write\/lock/, "run/lock", "run/one-writer"],
  [/^src\/run\/write\/overflow/, "run/overflow"],
  [/^src\/run\/threads\//, "run/threads", "run/execute"],
  [/^src\/run\/measure\//, "run/verify"],
  [/^src\/run\//, "run/checksum", "run/execute", "run/disk", "run/resume", "run/together"],
  [/^src\/eval\/perplexity\/(gate|sequential|statistics)/, "eval/statistics"],
  [/^src\/eval\/perplexity\//, "eval/eval"],
  [/^src\/eval\/choice\//, "eval/choice"],
  [/^src\/eval\/harness\//, "eval/choice-harness"],
  [/^src\/eval\/divergence\//, "eval/kld"],
  [/^src\/eval\/imatrix\//, "eval/imatrix-compute"],
  [/^src\/eval\/sensitivity\//, "eval/sensitivity"],
  [/^src\/eval\/compare\//, "eval/compare"],
  [/^src\/eval\/calibrate\//, "eval/calibrate/codes", "eval/calibrate/calibrate"],
  [/^src\/hub\//, "hub/hub-settings", "hub/hub", "hub/hub-hostile"],
  [/^src\/arch\/meta\//, "arch/meta/meta", "arch/meta/mistral"],
  [/^src\/arch\/adapter\//, "arch/lora"],
  [/^src\/arch\/checkpoint\/mlx/, "arch/forms/mlx"],
  [/^src\/arch\/checkpoint\/latent/, "arch/packed/latent"],
  [/^src\/arch\/checkpoint\/(tied|zero)/, "arch/tied"],
  [/^src\/arch\/checkpoint\/gguf/, "arch/forms/gguf-forms"],
  [/^src\/arch\/checkpoint\//, "arch/forms/published-forms", "arch/views", "arch/containers"],
  [/^src\/arch\/rope-scaling|^src\/arch\/numbers\//, "arch/configs/keys", "arch/configs/fields", "net/rope"],
  [/^src\/arch\//, "arch/configs/keys", "arch/configs/fields", "arch/views", "arch/configs/class-names"],
];

function testsFor(file: string, isFamily: boolean): string[] {
  const [, ...tests] = TESTS.find(([source]) => source.test(file)) ?? [/$/];
  const named = tests.map((name) => `test/${name}.test.ts`);
  return isFamily ? [...FIELD_TESTS, ...FAMILY_TESTS] : named;
}

export interface QuickResult {
  readonly mutant: Mutant;
  readonly fate: "killed" | "lived" | "timeout";
  readonly by: string;
}

/** Mutants between two runs of the same tests unharmed. */
const GROUP = 10;

/** Seconds without a word from the tests, beyond which a mutant goes round for ever. */
const SILENCE = 150;

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

  async *#group(mutants: readonly Mutant[]): AsyncGenerator<QuickResult> {
    const files = new Map<string, Mutant>();
    const all = new Set<string>();
    for (const mutant of mutants) {
      const names = this.#families.get(mutant.file);
      const tests = testsFor(mutant.file, names !== undefined);
      for (const test of tests) if (!FAMILY_TESTS.includes(test)) all.add(test); // these take minutes for all families
      files.set(this.#write(this.#switched(mutant.id, tests, names)), mutant);
    }
    const unharmed = this.#write(this.#switched("", [...all], undefined));
    const { ended, stuck } = await this.#run([...files.keys(), unharmed]);
    const check = ended.get(unharmed);
    const isSpoiled = check !== undefined && !check.passed;
    if (isSpoiled) console.log(`the unharmed tests failed, kills do not count: ${check.failure}`);
    for (const [file, mutant] of files) {
      const result = ended.get(file);
      if (file === stuck) yield { mutant, fate: "timeout", by: "no word from the tests" };
      else if (result?.passed === true) yield { mutant, fate: "lived", by: "" };
      else if (result !== undefined && !isSpoiled)
        yield { mutant, fate: "killed", by: result.failure ?? "does not load" };
    }
    if (isSpoiled || stuck !== undefined) this.#end();
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

  async #run(files: readonly string[]) {
    this.#server ??= await Server.start("quick-server.js", this.#copy.root);
    const { ended, stuck } = await this.#server.runAll(files, SILENCE);
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
