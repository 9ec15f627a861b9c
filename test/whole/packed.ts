// usage: npm run packed
// What someone does who has nothing but the tarball: installs it into an empty folder, and runs every command that the two
// READMEs show, every example of the library's page, what a bundler makes of one, the completion of three shells, and the
// action's step. The models and texts that the READMEs speak of are those of samples/ and test/golden/ under their names;
// what asks the Hub is left out, and said. Packages come from npm's registry or its cache. Takes minutes: it is not in CI.
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "llq-packed-"));
const TEMPLATE =
  "{% for message in messages %}{{ message.role + ': ' + message.content + '\n' }}{% endfor %}assistant:";

const failures: string[] = [];
let ran = 0;

function report(what: string, { status, stdout, stderr }: SpawnSyncReturns<string>, started: number): void {
  ran++;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${status === 0 ? "ok    " : "FAILED"} ${seconds.padStart(6)} s  ${what}`);
  if (status === 0) return;
  failures.push(what);
  console.log(`${stdout}${stderr}`.split("\n").slice(-25).join("\n"));
}

function run(
  what: string,
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): string {
  const started = performance.now();
  const options = {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, ...env },
    input: "",
    maxBuffer: 1 << 28,
  } as const;
  const result = spawnSync(command, args, options);
  report(what, result, started);
  return result.stdout ?? "";
}

const shell = (line: string, env: Record<string, string> = {}) =>
  run(line, "bash", ["-c", `set -o pipefail; ${line}`], env);

/** Models under the names of the READMEs, with a chat template; texts, and questions of each form. */
function prepare(): void {
  for (const name of ["Llama-3.2-1B", "model", "Qwen3.5-4B", "GLM-4.7-Flash", "Qwen3-235B-A22B"]) {
    const model = join(folder, name);
    cpSync(join(ROOT, "samples/tiny-llama"), model, { recursive: true });
    const config = join(model, "tokenizer_config.json");
    const settings = { ...JSON.parse(readFileSync(config, "utf8")), chat_template: TEMPLATE };
    writeFileSync(config, JSON.stringify(settings));
    // the READMEs' models were trained for more tokens than this one
    const numbers = join(model, "config.json");
    const wide = { ...JSON.parse(readFileSync(numbers, "utf8")), max_position_embeddings: 32_768 };
    writeFileSync(numbers, JSON.stringify(wide));
  }
  const text = readFileSync(join(ROOT, "samples/text.txt"), "utf8").slice(0, 30_000);
  for (const name of ["wiki.test.raw", "wiki.txt", "text.txt", "calibration.txt", "校准文本.txt"]) {
    writeFileSync(join(folder, name), text);
  }
  const choice = (from: string, to: string) => {
    mkdirSync(join(folder, to, ".."), { recursive: true });
    cpSync(join(ROOT, "test/golden/choice", from), join(folder, to));
  };
  choice("arc.jsonl", "questions.jsonl");
  for (const kind of ["val", "dev"]) choice("ceval.csv", `${kind}/computer_network_${kind}.csv`);
  // enough of them for five shots
  const [head, ...rows] = readFileSync(join(ROOT, "test/golden/choice/ceval.csv"), "utf8").split(/(?<=\n)/);
  writeFileSync(join(folder, "dev/computer_network_dev.csv"), [head, ...rows, ...rows, ...rows].join(""));
  for (const kind of ["test", "dev"]) choice("cmmlu.csv", `${kind}/ancient_chinese.csv`);
  const question = { question: "What is two and two?", answer: "Two and two are four. #### 4" };
  writeFileSync(join(folder, "gsm8k.jsonl"), `${JSON.stringify(question)}\n`);
}

/** What people would copy: lines of code blocks, and code within lines, with something in the place of `<model>`. */
function commandsOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  const blocks = [...text.matchAll(/^```(?:sh)?\n(.*?)^```/gms)].flatMap(([, block]) => block!.split("\n"));
  const inline = [...text.matchAll(/`(llq [a-z].*?)`/g)].map(([, code]) => code!);
  return [...blocks.map((line) => line.replace(/^\$ |^npx /, "")), ...inline]
    .filter((line) => /^llq [a-z-]+ (?!--help)/.test(line))
    .map(filled);
}

function filled(line: string): string {
  const file = line.startsWith("llq eval-gen") ? "gsm8k.jsonl" : "questions.jsonl";
  const values: [RegExp | string, string][] = [
    ["<out.gguf> --source <model>", "made.gguf --source ./model"],
    ["<model.gguf> …", "q4.gguf"],
    [/<model(\.gguf)?>/g, line.includes(".gguf>") && !line.includes("-o") ? "q4.gguf" : "./model"],
    ["<a.gguf> <b.gguf> …", "q4.gguf q3.gguf"],
    [/<out\.gguf>/g, "out.gguf"],
    ["<out.json>", "out.json"],
    [/<text>/g, "wiki.test.raw"],
    ["<file> --task <name>", `${file} --task gsm8k`],
    ["<file>", file],
    ["[prompt]", '"Hello"'],
    ["<owner/name>", "me/model"],
    ["samples/tiny-llama", "./model"],
    [/^llq (\w+)$/, "llq $1 q4.gguf"],
    [/\\\|/g, "|"],
  ];
  return values.reduce((text, [from, to]) => text.replace(from, to), line);
}

/** Where a command writes is free before it runs. */
function clear(line: string): void {
  const [, output] = /(?:^| )-o (\S+)/.exec(line) ?? [];
  const pattern = output
    ?.replace(/["']/g, "")
    .replace("{type}", "[A-Z]\\w*")
    .replace(/\{[^}]*\}/g, ".*");
  for (const name of pattern === undefined ? [] : readdirSync(folder)) {
    if (new RegExp(`^${pattern}$`).test(name)) rmSync(join(folder, name), { recursive: true });
  }
}

function install(): void {
  run("npm pack", "npm", ["pack", "--ignore-scripts", "--pack-destination", folder, ROOT]);
  writeFileSync(join(folder, "package.json"), '{"type":"module","private":true}');
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"))!;
  const tools = ["typescript", "@types/node", "esbuild", "rolldown"];
  shell(`npm install --no-audit --no-fund --prefer-offline ./${tarball}`);
  shell(`npm install --no-audit --no-fund --prefer-offline --save-dev ${tools.join(" ")}`);
}

function commands(): void {
  const env = { PATH: `${join(folder, "node_modules/.bin")}:${process.env["PATH"]}` };
  shell("llq --help", env);
  for (const [bits, name] of [
    [4, "q4.gguf"],
    [3, "q3.gguf"],
    [4, "made.gguf"],
    [4, "llama-1b-q4.gguf"],
    [4, "qwen3.5-4b-q4.gguf"],
  ]) {
    shell(`llq quantize ./model -o ${name} --bits ${bits}`, env);
  }
  const seen = new Set<string>();
  for (const line of ["README.md", "README.zh-CN.md"].flatMap(commandsOf)) {
    if (seen.has(line)) continue;
    seen.add(line);
    if (
      line.includes("hf:") ||
      line === "llq quantize --imatrix" ||
      /^llq (quantize|sensitivity) q4\.gguf$/.test(line)
    ) {
      console.log(`left out          ${line}`);
      continue;
    }
    clear(line);
    shell(line.endsWith("copy q4.gguf") ? `${line} -o copied.gguf` : line, env);
  }
  for (const name of ["bash", "zsh", "fish"]) {
    const check = name === "fish" ? "fish --no-execute" : `${name} -n`;
    shell(
      `llq completion ${name} > completion.${name} && ${check} completion.${name} && grep -q quantize completion.${name}`,
      env,
    );
  }
}

function library(): void {
  const examples = ["docs/library.md", "README.md"].flatMap((page) =>
    [...readFileSync(join(ROOT, page), "utf8").matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text!),
  );
  const files = examples.map((text, i) => {
    const known = text.includes("signal)") ? "declare const signal: AbortSignal;\n" : "";
    writeFileSync(join(folder, `example-${i}.ts`), `${known}${text}export {};\n`);
    return `example-${i}.ts`;
  });
  for (const [module, moduleResolution] of [
    ["node16", "node16"],
    ["esnext", "bundler"],
  ]) {
    const compilerOptions = {
      ...{ module, moduleResolution, target: "es2023", lib: ["es2023"], types: ["node"], noEmit: true },
      ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
    run(`tsc, ${files.length} examples, ${moduleResolution}`, "npx", ["tsc", "-p", "tsconfig.json"]);
  }
  writeFileSync(
    join(folder, "program.ts"),
    `import { execute, findRecipe, openModel, planQuantize } from "llq";
const plan = planQuantize(openModel("./model"), findRecipe("Q4_0"));
await execute(plan, process.argv[2]!, { threads: 2, force: true });
`,
  );
  const platform = ["--platform=node", "--format=esm"];
  run("esbuild", "npx", ["esbuild", "program.ts", "--bundle", ...platform, "--outfile=esbuild.mjs"]);
  run("rolldown", "npx", ["rolldown", "program.ts", ...platform, "--file", "rolldown.mjs"]);
  for (const bundle of ["esbuild.mjs", "rolldown.mjs"]) {
    run(`node ${bundle}`, process.execPath, [bundle, `${bundle}.gguf`]);
  }
}

/** The step of action.yml, with the program of the package beside it, as a release has it. */
function action(): void {
  const home = join(folder, "action");
  cpSync(join(ROOT, "action"), join(home, "action"), { recursive: true });
  cpSync(join(folder, "node_modules/llq"), home, { recursive: true });
  const text = readFileSync(join(ROOT, "action.yml"), "utf8");
  const inputs: Record<string, string> = {
    model: "q4.gguf",
    text: "wiki.test.raw",
    "base-model": "./model",
    "max-kld": "1",
    context: "128",
    markdown: "action.md",
    junit: "action.xml",
  };
  const variables = [...text.matchAll(/^ {8}(LLQ_\w+): \$\{\{ inputs\.([\w-]+) \}\}$/gm)].map(
    ([, variable, input]) => [variable!, inputs[input!] ?? ""] as const,
  );
  const files = { GITHUB_OUTPUT: join(folder, "output"), GITHUB_STEP_SUMMARY: join(folder, "summary") };
  for (const file of Object.values(files)) writeFileSync(file, "");
  const env = { GITHUB_ACTIONS: "true", GITHUB_ACTION_PATH: home, RUNNER_TEMP: folder };
  run("action.yml", "bash", ["-e", "-c", /^ {6}run: (.*)$/m.exec(text)![1]!], {
    ...env,
    ...files,
    ...Object.fromEntries(variables),
  });
  const outputs = readFileSync(files.GITHUB_OUTPUT, "utf8");
  const missing = ["perplexity", "kld", "top1", "size", "result", "report"].filter(
    (name) => !new RegExp(`^${name}=.`, "m").test(outputs),
  );
  if (missing.length > 0) failures.push(`action.yml: no output ${missing.join(", ")}`);
}

try {
  install();
  prepare();
  commands();
  library();
  action();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${ran} steps, ${failures.length} failed${failures.map((what) => `\n  ${what}`).join("")}`);
process.exitCode = failures.length > 0 ? 1 : 0;
