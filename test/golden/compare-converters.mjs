// Compares what we make of checkpoints with what llama.cpp's converter and llama-quantize make of them:
//   npm run build && node test/golden/compare-converters.mjs <folder of families_2026.py> [name ...]
// Keys of the architecture, names, shapes, types and bytes of every tensor, in F32 and in each recipe. Prints what differs.
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openContainer } from "../../dist/formats/open.js";
import { openModel } from "../../dist/src/model.js";
import { planConvert, planQuantize } from "../../dist/src/quant/plan.js";
import { findRecipe } from "../../dist/src/quant/recipes/recipes.js";
import { execute } from "../../dist/src/run/write/execute.js";

const [folder, ...named] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: compare-converters.mjs <folder> [name ...]");
const suffix = ".llama-cpp.json";
const all = readdirSync(folder).flatMap((name) => (name.endsWith(suffix) ? [name.slice(0, -suffix.length)] : []));
const scratch = mkdtempSync(join(tmpdir(), "llq-converters-"));

/** Keys of the publication, and those that say what is usual, which the one or the other leaves out. */
const OTHER = /^(general|tokenizer|quantize|llq)\.|\.(vocab_size|attention\.(key|value)_length|rope\.dimension_count)$/;

async function write(model, type) {
  const output = join(scratch, `${type}.gguf`);
  rmSync(output, { force: true });
  const recipe = findRecipe(type);
  const plan = type === "F32" ? planConvert(model, recipe) : planQuantize(model, recipe, { allowRequantize: true });
  await execute(plan, output, { threads: 0 });
  return openContainer(output);
}

function hashes({ files, tensors }) {
  const file = openSync(files[0]);
  return new Map(
    Array.from(tensors, ([name, { offset, byteLength, dtype, shape }]) => {
      const bytes = Buffer.alloc(byteLength);
      readSync(file, bytes, 0, byteLength, offset);
      return [name, { type: dtype, shape: shape.join(), sha256: createHash("sha256").update(bytes).digest("hex") }];
    }),
  );
}

function plain(value) {
  return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? Number(each) : each));
}

async function compare(name) {
  const golden = JSON.parse(readFileSync(join(folder, `${name}${suffix}`), "utf8"));
  const model = openModel(join(folder, name));
  const differences = [];
  if (golden.tensors === undefined) return [`llama.cpp: ${plain(golden.failed)}`];
  const written = await write(model, "F32");
  const keys = new Set([...Object.keys(golden.keys), ...written.metadata.keys()]);
  for (const key of [...keys].filter((each) => !OTHER.test(each))) {
    const [ours, theirs] = [written.metadata.get(key)?.value, golden.keys[key]?.value];
    if (plain(ours) !== plain(theirs)) differences.push(`${key}: ${plain(ours)}, llama.cpp ${plain(theirs)}`);
  }
  const own = hashes(written);
  for (const { name: tensor, shape, type, sha256 } of golden.tensors) {
    const ours = own.get(tensor);
    own.delete(tensor);
    if (ours === undefined) differences.push(`F32 ${tensor} is missing`);
    else if (ours.shape !== shape.join()) differences.push(`F32 ${tensor}: ${ours.shape}, llama.cpp ${shape}`);
    else if (ours.type !== type) differences.push(`F32 ${tensor}: ${ours.type}, llama.cpp ${type}`);
    else if (ours.sha256 !== sha256) differences.push(`F32 ${tensor}: other bytes`);
  }
  for (const tensor of own.keys()) differences.push(`F32 ${tensor} is not llama.cpp's`);
  for (const [type, theirs] of Object.entries(golden.quantized ?? {})) {
    const ours = hashes(await write(model, type));
    for (const [tensor, [dtype, sha256]] of Object.entries(theirs)) {
      const own = ours.get(tensor);
      if (own?.type !== dtype) differences.push(`${type} ${tensor}: ${own?.type}, llama.cpp ${dtype}`);
      else if (own.sha256 !== sha256) differences.push(`${type} ${tensor}: other bytes`);
    }
  }
  return differences;
}

try {
  for (const name of named.length > 0 ? named : all) {
    if (!existsSync(join(folder, name))) continue;
    const differences = await compare(name).catch((error) => [`${error.message}`]);
    console.log(`${name}: ${differences.length === 0 ? "the same" : `${differences.length} differences`}`);
    for (const each of differences.slice(0, 12)) console.log(`  ${each}`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
