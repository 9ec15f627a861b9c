// Has llama.cpp load the conversion of every tiny checkpoint, and prints its perplexity beside ours as a table.
//   npm run build && node test/golden/compare-families.mjs <llama-perplexity> [family ...]
// Without flash attention, and with keys and values in f32: llama.cpp rounds to f16 otherwise.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [program, ...names] = process.argv.slice(2);
if (program === undefined) throw new Error("usage: compare-families.mjs <llama-perplexity> [family ...]");

/** What llama.cpp does not evaluate, and is left out of both sides. */
const CHANGES = {
  gemma2: { query_pre_attn_scalar: 16 },
  gemma3: { query_pre_attn_scalar: 16 },
  mistral: { sliding_window: null },
  phi3: { sliding_window: null },
  starcoder2: { sliding_window: null },
};

const families = new URL("families/", import.meta.url).pathname;
const text = join(families, "text.txt");
const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), "llq-families-"));
const context = "256";

function llq(...args) {
  return execFileSync(process.execPath, [cli, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** The family's F32 GGUF. Its name says nothing: llama.cpp looks for "phi-3" in there. */
function convert(family) {
  const folder = join(scratch, "tiny");
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(families, family), folder, { recursive: true });
  const config = join(folder, "config.json");
  const changed = { ...JSON.parse(readFileSync(config, "utf8")), ...CHANGES[family] };
  writeFileSync(config, JSON.stringify(changed));
  const file = join(scratch, "tiny.gguf");
  llq("convert", folder, "-o", file, "--type", "f32", "--force");
  return file;
}

/** Its final estimate; its error, when there is none. The last lines of its log are lost now and then. */
function llamaCpp(file) {
  const options = ["-fa", "off", "-ctk", "f32", "-ctv", "f32", "-t", "1"];
  for (let attempt = 0; attempt < 10; attempt++) {
    const args = ["-m", file, "-f", text, "-c", context, ...options];
    const { stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
    const output = stdout + stderr;
    const final = /Final estimate: PPL = ([\d.]+)/.exec(output)?.[1];
    if (final !== undefined) return Number(final);
    const error = /error loading model: (?!error)([^\n]*)|GGML_ASSERT[^\n]*/.exec(output);
    if (error !== null) return error[1] ?? error[0];
  }
  return "no estimate";
}

console.log("| checkpoint | changed | llama.cpp | llq | relative difference |\n|---|---|---|---|---|");
try {
  for (const name of names.length > 0 ? names : readdirSync(families)) {
    if (!existsSync(join(families, name, "reference.json"))) continue;
    const file = convert(name);
    const { perplexity } = JSON.parse(
      llq("eval-ppl", file, text, "-c", context, "--activations", "f32", "--json"),
    );
    const theirs = llamaCpp(file);
    const difference = typeof theirs === "number" ? (perplexity / theirs - 1).toExponential(1) : "";
    const changed = JSON.stringify(CHANGES[name] ?? {}).replace(/[{}"]/g, "");
    console.log(`| ${name} | ${changed} | ${theirs} | ${perplexity.toFixed(4)} | ${difference} |`);
  }
} finally {
  rmSync(scratch, { recursive: true });
}
