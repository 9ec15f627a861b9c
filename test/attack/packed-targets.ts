import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BufferSource } from "../../formats/bytes.js";
import type { TensorSource } from "../../formats/container.js";
import { byteLength, elementCount } from "../../formats/dtype.js";
import { badInput } from "../../formats/errors.js";
import { parseJson } from "../../formats/json.js";
import { readSafetensors } from "../../formats/safetensors/safetensors.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { asBlocks } from "../../src/rows/packed/blocks.js";
import { decodeRows, unpackWeights } from "../../src/rows/packed/index.js";
import type { Sample, Target } from "../support/damage.js";
import type { Random } from "../support/random.js";

// Every packed format: its configuration, its header and its numbers, damaged together. A sample is a config.json, a byte
// of zero, and a safetensors file with few tensors of a golden one.

const GOLDEN = join(new URL("../../../", import.meta.url).pathname, "test/golden/containers");
const golden = (name: string) => JSON.parse(readFileSync(join(GOLDEN, `packed-${name}.json`), "utf8"));
const told = (quant_method: string, more: object = {}) => ({
  quantization_config: { quant_method, ...more },
});

/** What is said of a golden file's tensors that begin so. */
type Row = readonly [name: string, file: string, prefixes: readonly string[], config: object];

const gptq = (bits: number, more: object = {}) => told("gptq", { bits, group_size: 32, ...more });
const ct = (version: string, names: readonly string[]): Row => {
  const { quantization_config: said } = golden(`ct-${version}`);
  const groups = Object.entries(said.config_groups as Record<string, { targets: string[] }>);
  const own = groups.filter(([, { targets }]) => targets.some((each) => names.includes(each)));
  const config = { quantization_config: { ...said, config_groups: Object.fromEntries(own) } };
  return [
    `compressed-tensors ${version} ${names[0]}`,
    `ct-${version}`,
    names.map((name) => `${name}.`),
    config,
  ];
};
const modelopt = (form: string): Row => [
  `modelopt ${form}`,
  "modelopt",
  [`${form}:`],
  { quantization_config: golden("modelopt")[form].quantization_config },
];
const mlx = (names: readonly string[]): Row => {
  const { quantization } = golden("mlx");
  const own = Object.entries(quantization).filter(
    ([key]) => !Object.hasOwn(golden("mlx").sha256, key) || names.includes(key),
  );
  return [
    `mlx ${names[0]}`,
    "mlx",
    names.map((name) => `${name}.`),
    { quantization: Object.fromEntries(own) },
  ];
};

const ROWS: readonly Row[] = [
  ["gptq", "gptq-2", ["two."], gptq(2, { desc_act: true })],
  ["gptq planes", "gptq-planes", ["bits5."], gptq(5, { checkpoint_format: "gptq_p" })],
  ["awq gemv", "awq-rows", ["gemv-32."], told("awq", { bits: 4, group_size: 32, version: "gemv" })],
  ["awq gemv_fast", "awq-rows", ["fast-32."], told("awq", { bits: 4, group_size: 32, version: "gemv_fast" })],
  [
    "auto-round",
    "auto-round-gptq",
    ["four."],
    { quantization_config: golden("auto-round-gptq").quantization_config },
  ],
  ct("0.20.0", ["bits3", "four"]),
  ct("0.20.0", ["nvfp4", "mxfp4"]),
  ct("0.20.0", ["int_group", "int_channel_zeros"]),
  ["bitsandbytes", "bitsandbytes", ["fp4.", "odd.", "int8."], told("bitsandbytes", { load_in_4bit: true })],
  ["hqq", "hqq", [""], {}],
  mlx(["bits3-32", "bits5-32"]),
  mlx(["mxfp4", "nvfp4", "mxfp8", "experts-mxfp4"]),
  mlx(["largest", "experts-largest"]),
  ["torchao", "torchao", ["int8.", "zeros."], told("torchao", { quant_type: { default: {} } })],
  ["torchao 4 bits", "torchao-4", ["int4."], told("torchao")],
  ["torchao swizzled", "torchao-4", ["nvfp4-swizzled.", "mxfp8-swizzled."], told("torchao")],
  modelopt("nvfp4"),
  modelopt("w4a8"),
  modelopt("mxfp8"),
  modelopt("blocks"),
  ["bitnet", "bitnet", [""], told("bitnet", { linear_class: "bitlinear" })],
  [
    "fp8 powers",
    "fp8-powers",
    ["blocks.", "experts.", "deepseek."],
    told("fp8", { weight_block_size: [16, 32], expert_dtype: "fp4", scale_fmt: "ue8m0" }),
  ],
];

type Entry = { dtype: string; shape: number[]; data_offsets: [number, number] };

/** A file with the tensors of a golden one whose names begin so, in its order. */
function subset(file: string, prefixes: readonly string[]): Buffer {
  const bytes = readFileSync(join(GOLDEN, `packed-${file}.safetensors`));
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__, ...entries } = JSON.parse(bytes.subarray(8, 8 + length).toString());
  const data: Buffer[] = [];
  const kept: Record<string, unknown> = {};
  let at = 0;
  for (const [name, { data_offsets, ...rest }] of Object.entries(entries as Record<string, Entry>)) {
    const prefix = prefixes.find((each) => name.startsWith(each));
    if (prefix === undefined) continue;
    const piece = bytes.subarray(8 + length + data_offsets[0], 8 + length + data_offsets[1]);
    kept[prefix.endsWith(":") ? name.slice(prefix.length) : name] = {
      ...rest,
      data_offsets: [at, at + piece.length],
    };
    data.push(piece);
    at += piece.length;
  }
  const said = Object.entries((__metadata__ ?? {}) as Record<string, string>);
  const own = said.filter(([name]) => prefixes.some((prefix) => name.startsWith(prefix)));
  const header = Buffer.from(JSON.stringify({ __metadata__: Object.fromEntries(own), ...kept }));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([size, header, ...data]);
}

function sampleOf(file: string, prefixes: readonly string[], config: object): Sample {
  const text = Buffer.from(JSON.stringify(config));
  const packed = subset(file, prefixes);
  const bytes = Uint8Array.from(Buffer.concat([text, Buffer.from([0]), packed]));
  const headers = text.length + 9 + Number(packed.readBigUInt64LE(0));
  const isDigit = (at: number) => bytes[at]! >= 0x30 && bytes[at]! <= 0x39;
  const digits = Array.from({ length: headers }, (_, at) => at).filter(isDigit);
  return {
    bytes,
    renumbered: (random: Random) => {
      const copy = bytes.slice();
      const kind = random.below(3);
      if (kind > 0) copy[random.pick(digits)] = 0x30 + random.below(10);
      // numbers too: seldom would they be hit
      if (kind < 2) copy[headers + random.below(bytes.length - headers)] = random.below(256);
      return copy;
    },
  };
}

const MAX_WEIGHTS = 1 << 20;
const kernels = new Kernels();
let scratch: { readonly path: string; readonly fd: number } | undefined;

/** A file of this process that is written again and again. */
function rewritten(bytes: Uint8Array): { path: string; fd: number } {
  if (scratch === undefined) {
    const folder = mkdtempSync(join(tmpdir(), "llq-packed-"));
    const path = join(folder, "x.safetensors");
    const fd = openSync(path, "w+");
    scratch = { path, fd };
    process.on("exit", () => {
      closeSync(fd);
      rmSync(folder, { recursive: true, force: true });
    });
  }
  ftruncateSync(scratch.fd, 0);
  writeSync(scratch.fd, bytes, 0, bytes.length, 0);
  return scratch;
}

function parse(bytes: Uint8Array): void {
  const end = bytes.indexOf(0);
  if (end < 0) throw badInput("x: no file");
  const config = parseJson("config.json", bytes.subarray(0, end));
  const file = bytes.slice(end + 1);
  const { path, fd } = rewritten(file);
  const container = readSafetensors(new BufferSource(path, file));
  const unpacked = unpackWeights(container, "config.json", config);
  for (const source of unpacked.tensors.values()) {
    if (source.coded === undefined) continue;
    decodeAll(fd, source);
    const blocks = asBlocks(source);
    if (blocks !== undefined) decodeAll(fd, blocks.source);
  }
}

function decodeAll(fd: number, source: TensorSource): void {
  const weights = elementCount(source.shape);
  if (weights > MAX_WEIGHTS || weights === 0) return;
  const rows = weights / source.shape.at(-1)!;
  kernels.reset();
  const address = kernels.reserve(byteLength(source.dtype, [...source.shape]));
  decodeRows(kernels, [fd], "x", source, 0, rows, address);
  if (rows > 1) decodeRows(kernels, [fd], "x", source, rows - 1, 1, address);
}

export const PACKED: readonly Target[] = ROWS.map(([name, file, prefixes, config]) => ({
  name,
  samples: [sampleOf(file, prefixes, config)],
  parse,
}));
