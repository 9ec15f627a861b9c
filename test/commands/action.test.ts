import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const ROOT = new URL("../..", import.meta.url).pathname;
const TEXT = join(ROOT, "samples/text.txt");
const action = readFileSync(join(ROOT, "action.yml"), "utf8");
const workflow = readFileSync(join(ROOT, "samples/ci/check-model.yml"), "utf8");
const folder = scratchFolder();

/** Names of the inputs: the keys two spaces in, between `inputs:` and `outputs:`. */
const inputs = [...action.split("\noutputs:")[0]!.matchAll(/^ {2}([\w-]+):$/gm)].map((match) => match[1]!);
/** Variables of the step, by the input they hold. */
const variables = new Map(
  [...action.matchAll(/^ {8}(LLQ_\w+): \$\{\{ inputs\.([\w-]+) \}\}$/gm)].map(([, variable, input]) => [
    input!,
    variable!,
  ]),
);
const script = /^ {6}run: (.*)$/m.exec(action)![1]!;

/** Runs the action's step as a runner would: inputs in variables, the script by bash. */
function runAction(given: Readonly<Record<string, string>>) {
  const temp = mkdtempSync(join(folder, "run-"));
  const files = { GITHUB_OUTPUT: join(temp, "output"), GITHUB_STEP_SUMMARY: join(temp, "summary") };
  for (const file of Object.values(files)) writeFileSync(file, "");
  const set = Object.fromEntries(inputs.map((input) => [variables.get(input)!, given[input] ?? ""]));
  const env = {
    ...process.env,
    ...set,
    ...files,
    GITHUB_ACTIONS: "true",
    GITHUB_ACTION_PATH: ROOT,
    RUNNER_TEMP: temp,
  };
  const { status, stderr } = spawnSync("bash", ["-e", "-c", script], { cwd: temp, env, encoding: "utf8" });
  const read = (file: string) => readFileSync(file, "utf8");
  return {
    status,
    stderr,
    output: read(files.GITHUB_OUTPUT),
    summary: read(files.GITHUB_STEP_SUMMARY),
    temp,
  };
}

const small = { model: TINY_LLAMA, text: TEXT, context: "32", chunks: "4" };

test("every input reaches the script, and only through the environment", () => {
  expect(inputs).toContain("max-ppl-ratio");
  expect([...variables.keys()].sort()).toEqual([...inputs].sort());
  expect(script).not.toContain("${{");
});

test("the sample workflow gives inputs that there are", () => {
  const given = [
    ...workflow
      .split("/llq@v1")[1]!
      .split("\n      - ")[0]!
      .matchAll(/^ {10}([\w-]+): /gm),
  ].map((match) => match[1]!);
  expect(given).toContain("max-kld");
  for (const input of given) expect(inputs).toContain(input);
});

test("a model that holds its bounds passes, and the outputs say so", () => {
  const { status, output, summary, temp } = runAction({
    ...small,
    "base-model": TINY_LLAMA,
    "max-kld": "0.01",
    ...{ threads: "1", activations: "f32", "max-memory": "500MB", markdown: "report.md" },
  });
  expect(status).toBe(0);
  expect(output).toMatch(
    /^perplexity=\d+\.\d+\nkld=0\ntop1=1\nsize=\nresult=passed\nreport=.*llq-eval-ppl\.json\n$/,
  );
  expect(summary).toMatch(/: passed\n/);
  expect(JSON.parse(readFileSync(join(temp, "llq-eval-ppl.json"), "utf8"))).toMatchObject({
    schema: 1,
    chunks: 4,
    activations: "f32",
  });
  expect(readFileSync(join(temp, "report.md"), "utf8")).toMatch(/perplexity/i);
});

test("a broken bound fails the step and annotates it", () => {
  const { status, stderr, output } = runAction({ ...small, "max-ppl": "1.5" });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^::error title=.*max-ppl::max-ppl broken/m);
  expect(output).toMatch(/^result=failed$/m);
});

test("inputs are data: neither commands nor options", () => {
  const { status, stderr, temp } = runAction({ ...small, model: '--help"; touch stolen; $(touch stolen)' });
  expect(status).toBe(3);
  expect(stderr).toMatch(/no such file/);
  expect(() => readFileSync(join(temp, "stolen"))).toThrow(/ENOENT/);
});
