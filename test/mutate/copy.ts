import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a test may read, of the repository; what is not changed is linked. */
const COPIED = ["src", "formats", "assembly", "package.json", "vitest.config.ts", "tsconfig.json"];
const LINKED = [
  "node_modules",
  "samples",
  "asconfig.json",
  "README.md",
  "README.zh-CN.md",
  "CHANGELOG.md",
  "action",
  "action.yml",
  "docs",
];

/** Longer than any test file takes; a mutant may go round for ever. */
const TIMEOUT = 180_000;

/** The modules of assembly, by the entry that they are built of. */
const MODULES = { kernels: "index", "products-plain": "products", "generation-plain": "generation" } as const;

export type AssemblyModule = keyof typeof MODULES;

/** How a command ended, and all that it printed. */
export interface Outcome {
  readonly ok: boolean;
  readonly timedOut: boolean;
  readonly printed: string;
}

/**
 * A copy of the repository in which files may be damaged. Threads and child processes of the tests run its own bundles,
 * made of its sources without tsc: of types no mutant knows anything.
 */
export class Copy {
  readonly root = mkdtempSync(join(tmpdir(), "llq-mutate-"));
  readonly #origin: string;

  /** @param origin the repository, built */
  constructor(origin: string) {
    this.#origin = origin;
    chmodSync(this.root, 0o755); // some tests run it as a user who may write nowhere
    for (const name of COPIED) cpSync(join(origin, name), join(this.root, name), { recursive: true });
    for (const name of LINKED) symlinkSync(join(origin, name), join(this.root, name));
    const golden = join(origin, "test/golden");
    cpSync(join(origin, "test"), join(this.root, "test"), {
      recursive: true,
      filter: (path) => path !== golden,
    });
    symlinkSync(golden, join(this.root, "test/golden"));
    mkdirSync(join(this.root, "dist"));
    for (const name of ["src", "formats", "program", "browser/zh.gz"]) {
      cpSync(join(origin, "dist", name), join(this.root, "dist", name), { recursive: true });
    }
    this.restoreModules();
    const { dependencies } = JSON.parse(this.read("package.json"));
    this.write("rolldown.config.js", bundles(Object.keys(dependencies)));
  }

  read(file: string): string {
    return readFileSync(join(this.root, file), "utf8");
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.root, file), text);
  }

  /** The program's bundles of the sources as they are now. */
  bundle(): Outcome {
    return this.run("rolldown", ["-c", "--logLevel", "silent"]);
  }

  assemble(module: AssemblyModule): Outcome {
    const outcome = this.run("asc", [`assembly/${MODULES[module]}.ts`, "--target", module]);
    if (outcome.ok) this.#pack();
    return outcome;
  }

  restoreModules(): void {
    const byDot = ["products", "generation"].flatMap((name) => [
      `${name}-plain`,
      `${name}-i16`,
      `${name}-i32`,
    ]);
    for (const name of ["kernels", "searches", "fused", ...byDot]) {
      const file = `dist/${name}.wasm`;
      cpSync(join(this.#origin, file), join(this.root, file));
    }
    this.#pack();
  }

  /** As release/modules.mjs does for npm run asc. */
  #pack(): void {
    execFileSync(process.execPath, [join(this.#origin, "release/modules.mjs"), join(this.root, "dist")]);
  }

  /** Runs test files, those of `name` only if there is one, until one fails. */
  test(
    files: readonly string[],
    options: { name?: string | undefined; env?: NodeJS.ProcessEnv } = {},
  ): Outcome {
    const { name, env } = options;
    const only = name === undefined ? [] : [`--testNamePattern=${name}`];
    return this.run("vitest", ["run", "--bail", "1", "--no-color", ...files, ...only], env);
  }

  run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome {
    const { status, error, stdout, stderr } = spawnSync(join("node_modules/.bin", program), args, {
      cwd: this.root,
      env: { ...process.env, ...env },
      encoding: "utf8",
      timeout: TIMEOUT,
      killSignal: "SIGKILL",
      maxBuffer: 2 ** 28,
    });
    return { ok: status === 0, timedOut: error !== undefined, printed: `${stdout}${stderr}` };
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** What rolldown.config.js makes of tsc's output, made of the sources. */
function bundles(external: readonly string[]): string {
  const config = {
    input: { cli: "src/cli.ts", worker: "src/worker/worker.ts", index: "src/index.ts" },
    platform: "node",
    external,
    resolve: { extensionAlias: { ".js": [".ts"] } },
    output: { dir: "dist/program", cleanDir: true, comments: false, chunkFileNames: "[name].js" },
  };
  return `export default ${JSON.stringify(config)};\n`;
}
