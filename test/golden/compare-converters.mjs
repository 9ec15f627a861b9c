// Compares what we make of checkpoints with what llama.cpp's programs make of them (compare-all.sh makes the folder, too):
//   npm run build && node test/golden/compare-converters.mjs <llama.cpp's programs> <folder> [name ...]
// Keys of the architecture, names, shapes, types and bytes of every tensor in F32, beside its converter's; types and bytes in
// each recipe, beside what llama-quantize makes of our F32. A line each as a table: what differs; the reference's perplexity;
// ln of what llama.cpp makes of our F32 and of its own over that, and of what we make of its own; whether `convert` says that
// it has something else. Below, the differences one by one.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { meta } from "../../dist/formats/gguf/gguf-write.js";
import { openContainer } from "../../dist/formats/open.js";
import { evaluatePerplexity } from "../../dist/src/eval/perplexity/perplexity.js";
import { openModel } from "../../dist/src/model.js";
import { planConvert, planQuantize } from "../../dist/src/quant/plan.js";
import { findRecipe } from "../../dist/src/quant/recipes/recipes.js";
import { execute } from "../../dist/src/run/write/execute.js";

const [programs, folder, ...named] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: compare-converters.mjs <llama.cpp's programs> <folder> [name ...]");
const suffix = ".llama-cpp.json";
const all = readdirSync(folder).flatMap((name) => (name.endsWith(suffix) ? [name.slice(0, -suffix.length)] : []));
const scratch = mkdtempSync(join(tmpdir(), "llq-converters-"));
/** Twice the text: the last lines of llama-perplexity are lost now and then. */
const text = join(scratch, "text.txt");
writeFileSync(text, readFileSync(new URL("families/text.txt", import.meta.url), "utf8").repeat(2));

/** Keys of the publication, and those that say what is usual, which the one or the other leaves out. */
const OTHER = /^(general|tokenizer|quantize|llq)\.|\.(vocab_size|attention\.(key|value)_length|rope\.dimension_count)$/;
/** llama.cpp wants tokens of models whose name has "phi-3" in it. */
const NAME = [["general.name", meta.string("tiny")]];
const RECIPES = ["Q8_0", "Q4_K_M", "Q2_K"];
/** Differences of one checkpoint that are printed. */
const SHOWN = 12;

async function write(model, type) {
  const output = join(scratch, `${type}.gguf`);
  rmSync(output, { force: true });
  const recipe = findRecipe(type);
  const plan = type === "F32" ? planConvert(model, recipe, NAME) : planQuantize(model, recipe, { allowRequantize: true });
  await execute(plan, output, { threads: 1 });
  return openContainer(output);
}

function hashes({ files, tensors }) {
  const file = openSync(files[0]);
  const found = new Map();
  for (const [name, { offset, byteLength, dtype, shape }] of tensors) {
    const bytes = Buffer.alloc(byteLength);
    readSync(file, bytes, 0, byteLength, offset);
    found.set(name, { type: dtype, shape: shape.join(), sha256: createHash("sha256").update(bytes).digest("hex") });
  }
  closeSync(file);
  return found;
}

function plain(value) {
  return JSON.stringify(value, (_, each) => {
    if (typeof each === "bigint") return Number(each);
    return each === -Infinity ? "-inf" : each;
  });
}

/** A key's value and type, of ours or as gguf-py calls them. */
function typed(field) {
  if (field === undefined) return undefined;
  const type = field.type === "array" ? `array ${field.item}` : field.type;
  return `${plain(field.value)} ${type.replace("uint", "u").replace("int", "i").replace("float", "f")}`;
}

function* differentKeys(ours, theirs) {
  for (const key of new Set([...Object.keys(theirs), ...ours.keys()])) {
    const [own, other] = [typed(ours.get(key)), typed(theirs[key])];
    if (!OTHER.test(key) && own !== other) yield `key ${key}: ${own}, llama.cpp ${other}`;
  }
}

function* differentTensors(own, theirs) {
  for (const { name, shape, type, sha256 } of theirs) {
    const ours = own.get(name);
    if (ours === undefined) yield `F32 ${name} is missing`;
    else if (ours.shape !== shape.join()) yield `F32 ${name}: ${ours.shape}, llama.cpp ${shape}`;
    else if (ours.type !== type) yield `F32 ${name}: ${ours.type}, llama.cpp ${type}`;
    else if (ours.sha256 !== sha256) yield `F32 ${name}: other bytes`;
  }
  const known = new Set(theirs.map(({ name }) => name));
  for (const name of own.keys()) if (!known.has(name)) yield `F32 ${name} is not llama.cpp's`;
}

function* differentQuants(recipe, own, theirs) {
  for (const [name, { type, sha256 }] of theirs) {
    const ours = own.get(name);
    if (ours?.type !== type) yield `${recipe} ${name}: ${ours?.type}, llama.cpp ${type}`;
    else if (ours.sha256 !== sha256) yield `${recipe} ${name}: other bytes`;
  }
}

/** What llama-quantize makes of a file; why it makes nothing. */
function llamaQuantize(file, recipe) {
  const output = join(scratch, "llama-quantize.gguf");
  const { status, stdout, stderr } = spawnSync(join(programs, "llama-quantize"), [file, output, recipe, "1"], { encoding: "utf8" });
  return status === 0 ? hashes(openContainer(output)) : reason(stdout + stderr);
}

/** Its perplexity, or why there is none. */
function llamaPerplexity(file, context, chunks) {
  const options = ["-c", context, "-b", context, "-fa", "off", "-ctk", "f32", "-ctv", "f32", "-t", "1"].map(String);
  let said;
  for (let attempt = 0; attempt < 8; attempt++) {
    const { stdout, stderr } = spawnSync(join(programs, "llama-perplexity"), ["-m", file, "-f", text, ...options], { encoding: "utf8" });
    const found = new RegExp(`\\[${chunks}\\]([\\d.]+|-?nan|inf),`).exec(stdout + stderr);
    if (found !== null) return Number(found[1]);
    said = reason(stdout + stderr);
    if (said !== undefined) break;
  }
  return said ?? "no estimate";
}

/** What we make of a file of llama.cpp's converter. */
async function ownPerplexity(file, tokens, context) {
  if (!existsSync(file)) return undefined;
  try {
    const model = openModel(file);
    const bos = model.vocab.addBos ? model.vocab.special.bos : undefined;
    const options = { context, bos, activations: "f32", threads: 1 };
    return (await evaluatePerplexity(model, Int32Array.from(tokens), options)).ppl;
  } catch (error) {
    return error.message.replace(`${file}: `, "");
  }
}

function reason(output) {
  const error = /error loading model: ([^\n]*)|GGML_ASSERT[^\n]*/.exec(output);
  return error === null ? undefined : (error[1] ?? error[0]).replace(/error loading model \w+: /, "");
}

async function compare(name) {
  const golden = JSON.parse(readFileSync(join(folder, `${name}${suffix}`), "utf8"));
  const { perplexity, context, tokens } = JSON.parse(readFileSync(join(folder, name, "reference.json"), "utf8"));
  const model = openModel(join(folder, name));
  const written = await write(model, "F32");
  const file = written.files[0];
  const differences = [];
  if (golden.tensors !== undefined)
    differences.push(...differentKeys(written.metadata, golden.keys), ...differentTensors(hashes(written), golden.tensors));
  let quantized = "the same";
  for (const recipe of RECIPES) {
    const theirs = llamaQuantize(file, recipe);
    if (!(theirs instanceof Map)) quantized = theirs ?? "refused";
    else differences.push(...differentQuants(recipe, hashes(await write(model, recipe)), theirs));
  }
  if (differences.some((each) => RECIPES.includes(each.split(" ")[0]))) quantized = "differs";
  const ours = llamaPerplexity(file, context, Math.floor(tokens.length / context));
  const read = await ownPerplexity(join(folder, `${name}.gguf`), tokens, context);
  return { golden, perplexity, ours, read, differences, quantized, said: model.remarks.some((each) => /llama\.cpp|GGUF/.test(each)) };
}

function overReference(value, reference) {
  if (typeof value !== "number") return value ?? "";
  return Math.log(value / reference).toExponential(1);
}

/** "key 2, F32 3": how many of what differ from the converter's. */
function summed(differences) {
  const kinds = differences.map((each) => each.split(" ")[0]).filter((kind) => !RECIPES.includes(kind));
  return [...new Set(kinds)].map((kind) => `${kind} ${kinds.filter((each) => each === kind).length}`).join(", ") || "the same";
}

function row(name, { golden, perplexity, ours, read, differences, quantized, said }) {
  const failed = golden.failed?.message.replaceAll("\n", " ").slice(0, 90);
  const cells = [
    golden.tensors === undefined ? `not converted: ${failed}` : summed(differences),
    quantized,
    perplexity.toFixed(4),
    overReference(ours, perplexity),
    overReference(golden.perplexity ?? failed, perplexity),
    overReference(read, perplexity),
    said ? "said" : "",
  ];
  return `| ${[name, ...cells].join(" | ")} |`;
}

try {
  console.log("| checkpoint | F32 beside its converter's | beside llama-quantize | reference | llama.cpp of our F32 | of its own | llq of that | convert |");
  console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
  const details = [];
  for (const name of named.length > 0 ? named : all) {
    if (!existsSync(join(folder, name))) continue;
    try {
      const found = await compare(name);
      console.log(row(name, found));
      if (found.differences.length > 0) details.push("", name, ...found.differences.slice(0, SHOWN));
    } catch (error) {
      console.log(`| ${name} | refused here: ${error.message} | | | | | | |`);
    }
  }
  for (const line of details) console.log(line);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
