// Has a model answer what lm-evaluation-harness had it answer, and compares prompts, ids, texts and scores:
//   python test/golden/make/harness_written.py <model of floats> <folder>
//   python test/golden/make/harness_published.py <model of floats> <folder> --gsm8k <folder> --bbh <folder> --context 2048
//   npm run written -- <the model> <folder>
// Not part of CI: the models that PyPI packages carry take a quarter of an hour.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [model, folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: compare-written.mjs <model> <folder of harness_written.py or harness_published.py>");
const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const scratch = mkdtempSync(join(tmpdir(), "llq-written-"));

/** @param {string} name @param {string} text */
function write(name, text) {
  const path = join(scratch, name);
  writeFileSync(path, text);
  return path;
}

const lines = (rows) => rows.map((row) => JSON.stringify(row)).join("\n");

/** Questions and examples of a run, in the form each is published in. */
function filesOf(made, { data, part = "boolean_expressions" }, count) {
  if (data !== "bbh") {
    const { test, train = [] } = made[data];
    return [write("test.jsonl", lines(test.slice(0, count))), write("train.jsonl", lines(train))];
  }
  for (const name of ["bbh", "cot-prompts"]) {
    rmSync(join(scratch, name), { recursive: true, force: true });
    mkdirSync(join(scratch, name));
  }
  const { test, prompt } = made.bbh[part] ?? made.bbh;
  const shown = made["bbh examples"]?.test.map(({ input, target }) => `Q: ${input}\nA: Let's think step by step.\n${target}`);
  write(`bbh/${part}.json`, JSON.stringify({ examples: test.slice(0, count) }));
  write(`cot-prompts/${part}.txt`, prompt ?? ["Evaluate the result of a random Boolean expression.", ...shown].join("\n\n"));
  return [join(scratch, "bbh"), join(scratch, "cot-prompts")];
}

function compare(set) {
  const { runs, maxTokens, template, context: usual = 1024 } = read(`${set}.json`);
  const made = read(`${set}-questions.json`);
  for (const run of runs) {
    const { task, data, shots, context, chat: isChat, questions } = run;
    const [file, examples] = filesOf(made, run, questions.length);
    const save = join(scratch, "run.json");
    const args = [cli, "eval-gen", model, file, "--task", data, "--protocol", "harness", "-n", String(maxTokens)];
    args.push("--context", String(context ?? usual), "--kv-type", "f32", "--activations", "f32");
    args.push("--save", save, "--force", "--json", "-j", "2");
    if (shots > 0) args.push("--examples", examples, "--shots", String(shots));
    if (isChat) args.push("--chat", "--template", write("template.jinja", template));
    execFileSync(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], maxBuffer: 1 << 30 });
    const found = JSON.parse(readFileSync(save, "utf8")).questions;
    const same = { prompts: 0, ids: 0, texts: 0, answers: 0, scores: 0 };
    for (const [i, expected] of questions.entries()) {
      const own = found[i];
      const judged = Object.values(expected.scores);
      const scores = Object.values(own.scores).slice(0, judged.length);
      if (isChat ? own.promptTokens === expected.promptTokens : own.prompt === expected.prompt) same.prompts++;
      if (JSON.stringify(own.tokens) === JSON.stringify(expected.tokens)) same.ids++;
      if (own.text === expected.text) same.texts++;
      if (data === "math" || judged.every(([answer], k) => answer === scores[k].answer)) same.answers++;
      if (judged.every(([, score], k) => (score === 1) === scores[k].isRight)) same.scores++;
    }
    const counts = Object.entries(same).map(([what, count]) => `${what} ${count}`);
    console.log(`${task}, ${shots} shots${isChat ? ", chat" : ""}: of ${questions.length} the same ${counts.join(", ")}`);
  }
}

try {
  for (const set of ["written", "published"]) if (existsSync(join(folder, `${set}.json`))) compare(set);
} finally {
  rmSync(scratch, { recursive: true });
}
