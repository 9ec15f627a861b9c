// usage: npm run synthetic -- <folder> [preset] [BF16|F16|F32] [gigabytes in a shard]
// Writes a checkpoint in Hugging Face form whose weights are random: for sizes nobody wants to download.
import { closeSync, copyFileSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Random } from "./support/random.js";
import { checkpointOf, type LlamaShape, PRESETS } from "./support/shapes.js";

type FloatName = "BF16" | "F16" | "F32";
const TYPE_SIZE: Record<FloatName, number> = { BF16: 2, F16: 2, F32: 4 };
const TORCH_NAME: Record<FloatName, string> = { BF16: "bfloat16", F16: "float16", F32: "float32" };

export interface SyntheticOptions {
  readonly dtype?: FloatName;
  /** Bytes of tensors in a file, unless a single tensor has more. */
  readonly shardBytes?: number;
  readonly seed?: number;
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/**
 * Writes config.json, safetensors files (and their index, when there are several) and, if the vocabulary has
 * room for it, the tokenizer of samples/tiny-llama. The same arguments give the same bytes.
 */
export function writeSynthetic(folder: string, shape: LlamaShape, options: SyntheticOptions = {}): void {
  const { dtype = "BF16", shardBytes = 5e9, seed = 1 } = options;
  mkdirSync(folder, { recursive: true });
  const checkpoint = checkpointOf(shape, TORCH_NAME[dtype]);
  writeFileSync(join(folder, "config.json"), JSON.stringify(checkpoint.config, undefined, 2));
  const tensors = checkpoint.tensors.map(([name, shape]) => {
    const byteLength = shape.reduce((product, length) => product * length, TYPE_SIZE[dtype]);
    return { name, shape, byteLength };
  });
  const largest = Math.max(...tensors.map(({ byteLength }) => byteLength)) / TYPE_SIZE[dtype];
  const weights = new Weights(dtype, seed, largest);
  const shards = intoShards(tensors, shardBytes);
  const map: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const name = shards.length === 1 ? "model.safetensors" : shardName(i, shards.length);
    writeShard(join(folder, name), shard, dtype, weights);
    for (const tensor of shard) map[tensor.name] = name;
  }
  if (shards.length > 1) {
    const total = shards.flat().reduce((sum, { byteLength }) => sum + byteLength, 0);
    const index = { metadata: { total_size: total }, weight_map: map };
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify(index, undefined, 2));
  }
  if (shape.vocab >= PRESETS.tiny.vocab) copyTokenizer(folder);
}

function intoShards(tensors: readonly Tensor[], shardBytes: number): Tensor[][] {
  const shards: Tensor[][] = [[]];
  let room = shardBytes;
  for (const tensor of tensors) {
    if (tensor.byteLength > room && shards.at(-1)!.length > 0) {
      shards.push([]);
      room = shardBytes;
    }
    shards.at(-1)!.push(tensor);
    room -= tensor.byteLength;
  }
  return shards;
}

function shardName(index: number, count: number): string {
  const digits = (n: number) => String(n).padStart(5, "0");
  return `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

function writeShard(path: string, tensors: readonly Tensor[], dtype: FloatName, weights: Weights): void {
  const entries: Record<string, object> = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const { name, shape, byteLength } of tensors) {
    entries[name] = { dtype, shape, data_offsets: [end, end + byteLength] };
    end += byteLength;
  }
  const text = Buffer.from(JSON.stringify(entries));
  const header = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, " ");
  header.writeBigUInt64LE(BigInt(header.length - 8));
  header.set(text, 8);
  const fd = openSync(path, "w");
  try {
    writeFully(fd, header);
    for (const tensor of tensors) {
      for (const part of weights.of(tensor)) writeFully(fd, part);
    }
  } finally {
    closeSync(fd);
  }
}

function writeFully(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

/** Weights in the block, at most. */
const MAX_BLOCK = 2 ** 22;

/**
 * Weights that look like a trained matrix: mean 0, deviation 0.02, heavier tails than a normal distribution.
 * One block of them is made, and a tensor is a row of windows on it, so that disks and not this are the limit.
 */
class Weights {
  readonly #block: Uint8Array;
  readonly #norms: Uint8Array;
  readonly #typeSize: number;
  readonly #random: Random;

  /** @param count weights in the largest tensor */
  constructor(dtype: FloatName, seed: number, count: number) {
    this.#random = new Random(seed);
    this.#typeSize = TYPE_SIZE[dtype];
    const values = new Float32Array(Math.min(MAX_BLOCK, 2 * count));
    for (let i = 0; i < values.length; i++) values[i] = 0.02 * heavyTailed(this.#random);
    const norms = values.subarray(0, MAX_BLOCK / 16).map((value) => 1 + value);
    this.#block = encode(values, dtype);
    this.#norms = encode(norms, dtype);
  }

  /** The bytes of a tensor, in parts. */
  *of({ shape, byteLength }: Tensor): Generator<Uint8Array> {
    const source = shape.length === 1 ? this.#norms : this.#block;
    const partLength = source.length / 2;
    for (let left = byteLength; left > 0; left -= partLength) {
      const length = Math.min(left, partLength);
      const start = this.#random.below((source.length - length) / this.#typeSize) * this.#typeSize;
      yield source.subarray(start, start + length);
    }
  }
}

/** Deviation 1, kurtosis 5.5: the sum of four uniform numbers over the root of a fifth. Exact on every machine. */
function heavyTailed(random: Random): number {
  const [a, b] = [random.u32(), random.u32()];
  const sum = (a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16) - 2 * 0xffff;
  const normal = sum / 37837.23; // 65536 / sqrt(3)
  const spread = random.u32() / 2 ** 32 + 0.05;
  return normal / Math.sqrt(spread * 3.0445); // the mean of 1 / spread is log(1.05 / 0.05)
}

function encode(values: Float32Array, dtype: FloatName): Uint8Array {
  if (dtype === "F32") return new Uint8Array(values.buffer);
  const round = dtype === "BF16" ? toBf16 : toF16;
  const bits = new Uint32Array(values.buffer);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) halves[i] = round(bits[i]!);
  return new Uint8Array(halves.buffer);
}

/** Bits of a float to those of the nearest bfloat16, ties to even. */
function toBf16(bits: number): number {
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** Bits of a float below 65504 to those of the nearest half, ties to even. */
function toF16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude < SMALLEST_NORMAL) return sign | subnormalF16(magnitude);
  const rebiased = magnitude - (112 << 23);
  return sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13);
}

/** Bits of 2^-14; smaller halves are whole multiples of 2^-24. */
const SMALLEST_NORMAL = 0x38800000;
const one = new Float32Array(1);
const oneBits = new Uint32Array(one.buffer);

function subnormalF16(magnitude: number): number {
  oneBits[0] = magnitude;
  const multiples = one[0]! * 2 ** 24;
  return Math.fround(multiples + 2 ** 23) - 2 ** 23; // a float of 2^23 has no room for a fraction: it rounds to even
}

export function copyTokenizer(folder: string): void {
  for (const name of ["tokenizer.json", "tokenizer.model", "tokenizer_config.json"]) {
    copyFileSync(join("samples/tiny-llama", name), join(folder, name));
  }
}

function main([folder, preset = "llama-1.1b", dtype = "BF16", gigabytes = "5"]: string[]): void {
  const shape = (PRESETS as Record<string, LlamaShape>)[preset];
  if (folder === undefined || shape === undefined || !(dtype in TYPE_SIZE)) {
    throw new Error(
      `usage: npm run synthetic -- <folder> [${Object.keys(PRESETS).join("|")}] [BF16|F16|F32] [GB]`,
    );
  }
  const start = performance.now();
  writeSynthetic(folder, shape, { dtype: dtype as FloatName, shardBytes: Number(gigabytes) * 1e9 });
  console.log(`${folder}: ${preset} in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
