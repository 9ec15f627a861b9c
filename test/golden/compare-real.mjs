// Evaluates the two trained models that PyPI packages carry, beside llama-perplexity, as test/golden/README.md tells:
//   npm run build && node test/golden/compare-real.mjs <llama-perplexity> <folder> <WikiText-2's wiki.test.raw> [model ...]
// The folder holds smollm2.gguf and gemma3.gguf. Not part of CI: half an hour of a core.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [program, folder, wikitext, ...named] = process.argv.slice(2);
if (wikitext === undefined) throw new Error("usage: compare-real.mjs <llama-perplexity> <folder> <wiki.test.raw> [model ...]");

/** Perplexities with floats, of two chunks, as they are known. */
const FLOATS = { smollm2: 23.246178, gemma3: 16.255775 };
const CONTEXT = "256";
const CHUNKS = 16;
/** What llama.cpp leaves to its user, none of which changes the model. */
const OPTIONS = {
  "-fa off, KV f32": ["-fa", "off", "-ctk", "f32", "-ctv", "f32"],
  "the same, --no-repack": ["-fa", "off", "-ctk", "f32", "-ctv", "f32", "--no-repack"],
  "-fa off, KV f16": ["-fa", "off"],
  "-fa on, KV f32": ["-fa", "on", "-ctk", "f32", "-ctv", "f32"],
};

const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), "llq-real-"));
const text = join(scratch, "text.txt");
// They are of the text without the white space around it.
writeFileSync(text, readFileSync(wikitext, "utf8").trim());

function llq(file, chunks, activations) {
  const options = ["-c", CONTEXT, "--chunks", String(chunks), "--activations", activations, "--json"];
  return JSON.parse(execFileSync(process.execPath, [cli, "eval-ppl", file, text, ...options], { encoding: "utf8" })).running;
}

/** Perplexities of the first chunk, of two, and so on. */
function llamaCpp(file, options) {
  const args = ["-m", file, "-f", text, "-c", CONTEXT, "-b", CONTEXT, "--chunks", String(CHUNKS), "-t", "1", ...options];
  const { stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return [...(stdout + stderr).matchAll(/\[\d+\](\d+\.\d+),/g)].map(([, value]) => Number(value));
}

/** -ln p of each chunk. */
function chunksOf(running) {
  const sums = running.map((value, i) => (i + 1) * Math.log(value));
  return sums.map((sum, i) => sum - (sums[i - 1] ?? 0));
}

/** Mean of the differences, and its standard error, in percent. */
function difference(running, base) {
  const [ours, theirs] = [chunksOf(running), chunksOf(base)];
  const each = ours.map((value, i) => 100 * (value - theirs[i]));
  const mean = each.reduce((a, b) => a + b) / each.length;
  const variance = each.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (each.length - 1);
  return `${mean.toFixed(3)} ± ${Math.sqrt(variance / each.length).toFixed(3)} %`;
}

try {
  for (const name of named.length > 0 ? named : Object.keys(FLOATS)) {
    const file = join(folder, `${name}.gguf`);
    const floats = llq(file, 2, "f32").at(-1);
    console.log(`${name}, f32, 2 chunks: ${floats.toFixed(6)}, ${(floats / FLOATS[name] - 1).toExponential(1)} off`);
    let base;
    for (const [options, args] of Object.entries(OPTIONS)) {
      const running = llamaCpp(file, args);
      base ??= running;
      console.log(`| ${name} | llama.cpp ${options} | ${running.at(-1)} | ${difference(running, base)} |`);
    }
    const own = llq(file, CHUNKS, "int8");
    console.log(`| ${name} | llq | ${own.at(-1).toFixed(4)} | ${difference(own, base)} |`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
