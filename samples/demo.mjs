// What `npm run demo` shows: the whole way of a model, with the commands a user types.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = "samples/out";
rmSync(`${root}${out}`, { recursive: true, force: true });
mkdirSync(`${root}${out}`, { recursive: true });

/** Runs `llq` and gives its JSON. */
function llq(...args) {
  console.log(`\n$ llq ${args.join(" ")}`);
  const run = spawnSync(process.execPath, ["dist/program/cli.js", ...args, "--json"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (run.status !== 0) process.exit(run.status ?? 1);
  return JSON.parse(run.stdout);
}

console.log("A trained 4-million-weight Llama (samples/tiny-llama) becomes a GGUF file, then two small ones.");
const model = "samples/tiny-llama";
const steps = [
  ["Convert: every weight as it is, in GGUF's layout.", "convert", [model, "-o", `${out}/tiny-llama.gguf`]],
  ["Quantize to 8 bits, straight from the folder.", "quantize", [model, "-o", `${out}/tiny-llama-8bit.gguf`, "--bits", "8"]],
  ["Quantize to 4 bits.", "quantize", [model, "-o", `${out}/tiny-llama-4bit.gguf`, "--bits", "4"]],
];
const rows = [["file", "type", "size", "bits/weight", "perplexity", "time"]];
for (const [what, command, args] of steps) {
  console.log(`\n${what}`);
  const { output, recipe, byteLength, bitsPerWeight, seconds } = llq(command, ...args);
  console.log("Measure it: how well does it predict a text it has not seen?");
  const ppl = llq("eval-ppl", output, "samples/text.txt", "--context", "256", "--chunks", "8");
  rows.push([
    output,
    recipe,
    `${(byteLength / 2 ** 20).toFixed(2)} MiB`,
    bitsPerWeight.toFixed(2),
    `${ppl.perplexity.toFixed(3)} ± ${ppl.error.toFixed(3)}`,
    `${(seconds + ppl.seconds).toFixed(1)} s`,
  ]);
}

const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
console.log();
for (const row of rows) console.log(row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd());
