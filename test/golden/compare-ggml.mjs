// Compares the quantization kernels with ggml on millions of weights, byte for byte, and prints the speed of both.
//   npm run build && node test/golden/compare-ggml.mjs <program> [--paired] [type ...]
// --paired: the searches of 256 bits, on an engine that pairs vectors.
// The program is make/ggml_rows.c. It is called as  <program> <type id> <n_per_row> <in.f32> <out.bin> [imatrix.f32]  and
// writes what ggml_quantize_chunk makes of the input; "<number> weights/s" in its output is taken as ggml's speed.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DTYPES } from "../../dist/formats/dtype.js";
import { pairedSearches } from "../../dist/src/kernels/searches.js";

const [program, ...rest] = process.argv.slice(2);
if (program === undefined) throw new Error("usage: compare-ggml.mjs <program> [--paired] [type ...]");
const isPaired = rest.includes("--paired");
const names = rest.filter((name) => name !== "--paired");
const paired = isPaired ? pairedSearches() : undefined;
if (isPaired && paired === undefined) throw new Error("this engine pairs no vectors");

const ROW = 4096;
const ROWS = 2562;
const PART = ROWS / 3;
/** Rows in a timing: short, so that some are undisturbed on a busy machine. */
const TIMED_ROWS = 8;

const memory = new WebAssembly.Memory({ initial: 2048, maximum: 65536 });
const wasm = new WebAssembly.Module(readFileSync(new URL("../../dist/kernels.wasm", import.meta.url)));
const instance = (module) => new WebAssembly.Instance(module, { env: { memory } }).exports;
const searches = paired === undefined ? {} : instance(paired);
const kernels = { ...instance(wasm), ...searches };

/** Types that ggml does not write without an importance matrix: one of ones stands for none. */
const GUIDED = new Set(["IQ1_S", "IQ2_XXS", "IQ2_XS"]);

let heap = Math.ceil(kernels.HEAP_BASE.value / 64) * 64;

/** The table of a type that has a codebook, where the heap begins; the heap begins behind it from then on. */
function prepare({ kernel }) {
  const length = kernels[`codebook_${kernel}`]?.(heap) ?? 0;
  heap = Math.ceil((heap + length) / 64) * 64;
}

/** Uniform in (0, 1), the same sequence each time. */
let seed = 1;
function random() {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
}

function normal() {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
}

/** A third normal, a third heavy-tailed, a third rounded to bf16, whose ties are many. */
function makeRows() {
  const x = new Float32Array(ROW * ROWS);
  for (let i = 0; i < x.length; i++) x[i] = 0.02 * normal();
  for (let i = PART * ROW; i < 2 * PART * ROW; i++) x[i] /= Math.sqrt(random());
  const bits = new Uint32Array(x.buffer);
  for (let i = 2 * PART * ROW; i < x.length; i++) bits[i] = (bits[i] + 0x8000) & 0xffff0000;
  return x;
}

/** The bytes of the rows, and the best of many timings in weights a second. */
function quantize(type, x, weights) {
  const rowSize = (ROW / type.blockSize) * type.typeSize;
  prepare(type);
  const from = heap;
  const to = from + x.byteLength;
  const w = to + Math.ceil((rowSize * ROWS) / 64) * 64;
  const missing = w + ROW * 4 - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65536));
  new Float32Array(memory.buffer, from).set(x);
  if (weights) new Float32Array(memory.buffer, w).set(weights);
  const kernel = kernels[`quantize_row_${type.kernel}${weights ? "_weighted" : ""}`];
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 3; run++) {
    for (let row = 0; row < ROWS; row += TIMED_ROWS) {
      const rows = Math.min(TIMED_ROWS, ROWS - row);
      const start = performance.now();
      for (let i = row; i < row + rows; i++) kernel(from + i * ROW * 4, to + i * rowSize, ROW, w);
      if (rows === TIMED_ROWS) best = Math.min(best, performance.now() - start);
    }
  }
  return { bytes: new Uint8Array(memory.buffer, to, rowSize * ROWS), speed: (TIMED_ROWS * ROW) / best / 1e3 };
}

function countDifferent(a, b, size) {
  let count = 0;
  for (let i = 0; i < b.length; i += size) if (Buffer.compare(a.subarray(i, i + size), b.subarray(i, i + size))) count++;
  return count;
}

const folder = mkdtempSync(join(tmpdir(), "compare-ggml-"));
try {
  const x = makeRows();
  const imatrix = Float32Array.from({ length: ROW }, () => Math.exp(normal()));
  const input = join(folder, "in.f32");
  const output = join(folder, "out.bin");
  const weightsFile = join(folder, "imatrix.f32");
  writeFileSync(input, x);
  const onesFile = join(folder, "ones.f32");
  writeFileSync(weightsFile, imatrix);
  writeFileSync(onesFile, new Float32Array(ROW).fill(1));

  const rows = [];
  for (const type of DTYPES) {
    if (type.ggml === undefined || type.blockSize === 1 || type.kernels === "read") continue;
    if (names.length > 0 && !names.includes(type.name)) continue;
    if (isPaired && searches[`quantize_row_${type.kernel}_weighted`] === undefined) continue;
    for (const weights of type.kernels === "weighted" ? [undefined, imatrix] : [undefined]) {
      const ours = quantize(type, x, weights);
      const guide = weights ? weightsFile : GUIDED.has(type.name) ? onesFile : undefined;
      const args = [String(type.ggml), String(ROW), input, output, ...(guide === undefined ? [] : [guide])];
      const printed = execFileSync(program, args, { encoding: "utf8" });
      const theirs = Number(/([\d.e+]+) weights\/s/.exec(printed)?.[1]) / 1e6;
      rows.push({
        type: type.name,
        imatrix: weights !== undefined,
        blocks: x.length / type.blockSize,
        different: countDifferent(ours.bytes, readFileSync(output), type.typeSize),
        "M weights/s": Number(ours.speed.toFixed(1)),
        "ggml's": Number(theirs.toFixed(1)),
        ratio: Number((ours.speed / theirs).toFixed(2)),
      });
    }
  }
  console.table(rows);
  if (rows.some((row) => row.different > 0)) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
