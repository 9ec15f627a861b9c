// Has a model answer what lm-evaluation-harness had it answer, and compares prompts, ids, texts and scores:
//   python test/golden/make/harness_written.py <model of floats> <folder>
//   npm run build && node test/golden/compare-written.mjs <the model> <folder>
// Not part of CI: the models that PyPI packages carry take a quarter of an hour.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [model, folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: compare-written.mjs <model> <folder of harness_written.py>");
const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const { runs, maxTokens, template } = read("written.json");
const made = read("written-questions.json");
const scratch = mkdtempSync(join(tmpdir(), "llq-written-"));

/** @param {string} name @param {string} text */
function write(name, text) {
  const path = join(scratch, name);
  writeFileSync(path, text);
  return path;
}

const lines = (rows) => rows.map((row) => JSON.stringify(row)).join("\n");
for (const part of ["bbh", "cot-prompts"]) mkdirSync(join(scratch, part));
write("bbh/boolean_expressions.json", JSON.stringify({ examples: made.bbh.test }));
const shown = made["bbh examples"].test.map(({ input, target }) => `Q: ${input}\nA: Let's think step by step.\n${target}`);
write("cot-prompts/boolean_expressions.txt", ["Evaluate the result of a random Boolean expression.", ...shown].join("\n\n"));
const chat = write("template.jinja", template);

try {
  for (const { task, data, shots, context, chat: isChat, questions } of runs) {
    const isBbh = data === "bbh";
    const file = isBbh ? join(scratch, "bbh") : write("test.jsonl", lines(made[data].test.slice(0, questions.length)));
    const examples = isBbh ? join(scratch, "cot-prompts") : write("train.jsonl", lines(made[data].train ?? []));
    const save = join(scratch, "run.json");
    const args = [cli, "eval-gen", model, file, "--task", data, "--protocol", "harness", "-n", String(maxTokens)];
    args.push("--context", String(context ?? 1024), "--kv-type", "f32", "--activations", "f32", "--limit", String(questions.length));
    args.push("--save", save, "--force", "--json", "-j", "2");
    if (shots > 0) args.push("--examples", examples, "--shots", String(shots));
    if (isChat) args.push("--chat", "--template", chat);
    execFileSync(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], maxBuffer: 1 << 30 });
    const found = JSON.parse(readFileSync(save, "utf8")).questions;
    const same = { prompts: 0, ids: 0, texts: 0, scores: 0 };
    for (const [i, expected] of questions.entries()) {
      const own = found[i];
      const scores = Object.values(expected.scores).map(([, score]) => score === 1);
      const judged = Object.values(own.scores).map(({ isRight }) => isRight);
      if (isChat ? own.promptTokens === expected.promptTokens : own.prompt === expected.prompt) same.prompts++;
      if (JSON.stringify(own.tokens) === JSON.stringify(expected.tokens)) same.ids++;
      if (own.text === expected.text) same.texts++;
      if (scores.every((score, k) => score === judged[k])) same.scores++;
    }
    const counts = Object.entries(same).map(([what, count]) => `${what} ${count}`);
    console.log(`${task}, ${shots} shots${isChat ? ", chat" : ""}: of ${questions.length} the same ${counts.join(", ")}`);
  }
} finally {
  rmSync(scratch, { recursive: true });
}
