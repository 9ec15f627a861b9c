import assert from "node:assert/strict";
import { BufferSource, ByteReader } from "../formats/bytes.js";
import type { Container, TensorSource } from "../formats/container.js";
import { byteLength, elementCount } from "../formats/dtype.js";
import { LlqError } from "../formats/errors.js";
import { readFlax } from "../formats/flax/flax.js";
import { readGguf } from "../formats/gguf/gguf.js";
import { type GgufHeader, ggufHeader, meta } from "../formats/gguf/gguf-write.js";
import { readImatrix } from "../formats/imatrix/imatrix.js";
import { parseJson } from "../formats/json.js";
import { readLlama2c } from "../formats/llama2c/llama2c.js";
import { readSafetensors } from "../formats/safetensors/safetensors.js";
import { parseSensitivity } from "../formats/sensitivity.js";
import { readSentencePiece } from "../formats/sentencepiece/sentencepiece.js";
import { readPickle } from "../formats/torch/pickle.js";
import type { PickleValue } from "../formats/torch/pickle-values.js";
import { readTorch } from "../formats/torch/torch.js";
import { ALLOWED_GLOBALS } from "../formats/torch/torch-globals.js";
import { llama } from "../src/arch/families/llama.js";
import { readHParams } from "../src/arch/hparams.js";
import { configOf, parseParams } from "../src/arch/meta/meta-params.js";
import { unpackWeights } from "../src/rows/packed/index.js";
import { findPreTokenizer } from "../src/tokenizer/bpe/pretokenize.js";
import { vocabFromTekken } from "../src/tokenizer/bpe/tekken.js";
import { NO_CONFIG } from "../src/tokenizer/hf/hf-config.js";
import { vocabFromTokenizerFile } from "../src/tokenizer/hf/hf-file.js";
import { vocabFromLlama2c } from "../src/tokenizer/spm/llama2c.js";
import { vocabFromSentencePiece } from "../src/tokenizer/spm/sentencepiece.js";
import { createTokenizer } from "../src/tokenizer/tokenizer.js";
import { type Vocab, vocabFromMetadata, vocabToMetadata } from "../src/tokenizer/vocab.js";
import {
  type Built,
  buildDat,
  buildGguf,
  buildImatrixGguf,
  buildSafetensors,
  everyEntryData,
  everyEntryHeader,
  everyFieldGguf,
  T,
  turned,
} from "./support/build/build.js";
import { buildFlax, flaxArray, flaxChunked } from "./support/build/build-flax.js";
import { buildLlama2c, buildTokenizerBin } from "./support/build/build-llama2c.js";
import { buildTorch, P, storagePickle, tensorPickle } from "./support/build/build-torch.js";
import { EDGES, type Sample, type Target } from "./support/damage.js";
import { type Field, protobuf } from "./support/protobuf.js";
import type { Random } from "./support/random.js";

/** Every opcode that is allowed. */
const everyOpcode = [
  P.proto,
  P.dictOf(
    ["texts", P.listOf("U\x02ab", P.text("\u00e9"), "N\x85", "NN\x86", "NNN\x87")],
    ["numbers", `]${P.int(-1)}aK\x01aM\x01\0a${P.long(1, 2, 3)}a${P.float(0.5)}a\x88a\x89a\x8fa`],
    ["again", `]${P.put(0)}r\x01\x01\0\0${P.get(0)}aj\x01\x01\0\0a`],
    ["made", `${P.orderedDict}${P.text("k")}Ns}b`],
    ["new", `${P.global("torch", "Size")}${P.tupleOf(P.tupleOf("K\x02"))}\x81`],
  ),
  P.stop,
].join("");

/** A small training checkpoint. */
const statePickle = `${P.proto}${P.dictOf(
  [
    "model",
    P.dictOf(
      ["w", tensorPickle({ size: [2, 1], stride: [1, 1] })],
      ["p", P.call("torch._utils", "_rebuild_parameter", tensorPickle(), P.true, P.orderedDict)],
      [
        "v3",
        P.call(
          "torch._utils",
          "_rebuild_tensor_v3",
          storagePickle(P.global("torch.storage", "UntypedStorage"), "0", 8),
          P.int(1),
          P.tupleOf(P.int(2)),
          P.tupleOf(P.int(1)),
          P.false,
          P.orderedDict,
          P.global("torch", "bfloat16"),
          "}",
        ),
      ],
    ),
  ],
  ["optimizer", P.listOf(tensorPickle({ size: [1], offset: 1 }), P.dictOf(["lr", P.float(0.1)]))],
  ["step", P.int(3)],
)}.`;

const PIECES: readonly string[] = [
  ..."(t]}RQbuesaN)\x81\x85\x86\x87\x88\x8f.",
  ...EDGES.map((edge) => P.int(Number(BigInt.asIntN(32, edge)))),
  P.long(255, 255, 255, 255, 255, 255, 255, 127),
  P.float(Number.NaN),
  P.text("storage"),
  P.text("__proto__"),
  P.get(0),
  P.put(0),
  P.global("torch", "FloatStorage"),
  P.global("torch", "Size"),
  P.global("os", "system"),
  tensorPickle(),
];

/** What is damaged, by npm test and, for longer, by npm run fuzz. */
export const TARGETS: readonly Target[] = [
  {
    name: "gguf",
    samples: [
      ...[everyFieldGguf, smallGguf(), buildGguf({ version: 2 })].map(binarySample),
      bigEndianSample(smallGguf()),
    ],
    parse: parseGguf,
  },
  {
    name: "safetensors",
    samples: [
      headerSample(everyEntryHeader, everyEntryData),
      headerSample('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8),
      headerSample("{}", 0),
    ],
    parse: parseSafetensors,
  },
  {
    name: "pickle",
    samples: [opcodeSample(everyOpcode), opcodeSample(statePickle)],
    parse: (bytes) =>
      checkInert(readPickle(new ByteReader(new BufferSource("x.pkl", bytes)), ALLOWED_GLOBALS)),
  },
  {
    name: "torch",
    samples: [
      opcodeSample(statePickle, (pickle) => buildTorch(pickle.slice(2, -1))),
      anyNumberSample(buildTorch(statePickle.slice(2, -1))),
    ],
    parse: (bytes) => {
      for (const [name, tensor] of readTorch(new BufferSource("x.pt", bytes)).tensors) {
        const { shape, strides = contiguous(shape), dtype, offset } = tensor;
        const last = shape.reduce((at, length, i) => at + (length - 1) * strides[i]!, 0);
        const end = shape.includes(0) ? offset : offset + byteLength(dtype, [last + 1]);
        assert.ok(offset > 0 && end <= bytes.length, name);
      }
    },
  },
  {
    name: "params.json",
    samples: [
      { dim: 16, n_layers: 1, n_heads: 4, n_kv_heads: 2, norm_eps: 1e-5, multiple_of: 16, vocab_size: -1 },
      { model: { dim: 16, n_layers: 2, n_heads: 2, hidden_dim: 48, rope_theta: 5e5, use_scaled_rope: true } },
    ].map(jsonSample),
    parse: (bytes) => {
      const params = parseParams("params.json", parseJson("params.json", bytes));
      const config = llama.read("params.json", configOf("params.json", params, { vocab: 96, ffn: 48 }));
      const hparams = readHParams(
        "params.json",
        new Map([
          ["general.architecture", meta.string("llama")],
          ...config.keys.map(([key, field]) => [`llama.${key}`, field] as const),
        ]),
      );
      assert.ok(Number.isSafeInteger(hparams.feedForwardLength) && hparams.blockCount >= 1);
    },
  },
  {
    name: "imatrix",
    samples: [
      buildDat({
        entries: [
          { name: "blk.0.attn_q.weight", calls: 3, values: [1, 2, 0.5] },
          { name: "output.weight", calls: 1, values: [1e30] },
        ],
        chunks: 7,
        dataset: "text.txt",
      }),
      buildImatrixGguf({
        entries: [
          ["blk.0.ffn_down_exps.weight", [1, 2, 3, 4], [2, 0]],
          ["output.weight", [1], [3]],
        ],
      }),
    ].map(anyNumberSample),
    parse: parseImatrix,
  },
  {
    name: "sentencepiece",
    samples: ["unigram", "bpe"].map((type) => anyNumberSample(smallSentencePiece(type))),
    parse: (bytes) => {
      const model = readSentencePiece(new BufferSource("x.model", bytes));
      tryTokenizer(vocabFromSentencePiece("x.model", model, NO_CONFIG));
    },
  },
  {
    name: "tekken.json",
    samples: [jsonSample(smallTekken())],
    parse: (bytes) => tryTokenizer(vocabFromTekken("x.json", parseJson("x.json", bytes), NO_CONFIG)),
  },
  {
    name: "tokenizer.json",
    samples: [smallBpeJson("ByteLevel"), smallBpeJson("Metaspace"), smallUnigramJson()].map(jsonSample),
    parse: (bytes) => {
      tryTokenizer(vocabFromTokenizerFile("x.json", bytes, NO_CONFIG));
    },
  },
  {
    name: "packed weights",
    samples: packedHeaders().map(({ header, data }) => headerSample(JSON.stringify(header), data)),
    parse: parsePacked,
  },
  {
    name: "sensitivity",
    samples: [jsonSample(smallSensitivity())],
    parse: (bytes) => {
      for (const { kld } of parseSensitivity("x.json", bytes).tensors.values())
        for (const value of kld.values()) assert.ok(value >= 0 && value < Number.POSITIVE_INFINITY);
    },
  },
  {
    name: "flax",
    samples: [anyNumberSample(smallFlax())],
    parse: parseFlax,
  },
  {
    name: "llama2c",
    samples: smallLlama2c().map(anyNumberSample),
    parse: (bytes) => checkTensors(readLlama2c(new BufferSource("x.bin", bytes)), bytes.length),
  },
  {
    name: "llama2c tokenizer",
    samples: [
      buildTokenizerBin([
        ["<unk>", 0],
        ["\n<s>\n", 0],
        ["\n</s>\n", 0],
        ["<0x00>", 0],
        [" a", -1],
      ]),
    ].map(anyNumberSample),
    parse: (bytes) => tryTokenizer(vocabFromLlama2c(new BufferSource("t.bin", bytes), 5)),
  },
];

/** Layers of 8 x 16 in GPTQ, AWQ and compressed-tensors, groups of 8, and an 8-bit one with blocks. */
function packedHeaders(): { header: object; data: number }[] {
  const layers: [name: string, dtype: string, shape: number[], bytes: number][][] = [
    [
      ["a.qweight", "I32", [2, 8], 64],
      ["a.qzeros", "I32", [2, 1], 8],
      ["a.scales", "F16", [2, 8], 32],
      ["a.g_idx", "I32", [16], 64],
    ],
    [
      ["a.weight", "F8_E4M3", [16, 8], 128],
      ["a.weight_scale", "F32", [1, 1], 4],
      ["b.weight", "I8", [4, 2], 8],
      ["b.weight_scale", "BF16", [4], 8],
    ],
    [
      ["a.weight_packed", "I32", [8, 2], 64],
      ["a.weight_scale", "F16", [8, 2], 32],
      ["a.weight_shape", "I64", [2], 16],
      ["a.weight_zero_point", "I32", [1, 2], 8],
      ["a.weight_g_idx", "I32", [16], 64],
      ["b.weight", "I8", [4, 16], 64],
      ["b.weight_scale", "F32", [4, 2], 32],
      ["b.weight_zero_point", "I8", [4, 2], 8],
      ["c.weight_packed", "U8", [4, 8], 32],
      ["c.weight_scale", "F8_E4M3", [4, 2], 8],
      ["c.weight_global_scale", "F32", [1], 4],
    ],
  ];
  return layers.map((layer) => {
    let at = 0;
    const header = Object.fromEntries(
      layer.map(([name, dtype, shape, bytes]) => {
        at += bytes;
        return [name, { dtype, shape, data_offsets: [at - bytes, at] }];
      }),
    );
    return { header, data: at };
  });
}

function parsePacked(bytes: Uint8Array): void {
  const container = readSafetensors(new BufferSource("x", bytes));
  const groups = [4, 8].map((num_bits) => ({
    targets: ["Linear"],
    weights: { num_bits, group_size: 8, symmetric: false },
  }));
  const small = { type: "float", num_bits: 4, group_size: 8 };
  const settings = { bits: 4, group_size: 8 };
  for (const [quant_method, fields] of [
    ["gptq", settings],
    ["awq", settings],
    ["auto-round", { ...settings, packing_format: "auto_round:auto_gptq" }],
    ["fp8", { activation_scheme: "dynamic" }],
    ["compressed-tensors", { config_groups: { ...groups, c: { targets: ["c"], weights: small } } }],
  ] as const) {
    const quantization_config = { quant_method, ...fields };
    const json = { quantization_config };
    let unpacked: Container;
    try {
      unpacked = unpackWeights(container, "config.json", json);
    } catch (error) {
      if (error instanceof LlqError && quant_method !== "fp8") continue;
      throw error;
    }
    for (const source of unpacked.tensors.values()) checkInside(source, bytes.length);
  }
}

/** Everything a tensor is decoded from lies in the file. */
function checkInside(source: TensorSource, fileLength: number): void {
  assert.ok(source.offset + source.byteLength <= fileLength);
  const { coded, strides, shape } = source;
  if (coded === undefined) {
    const last = shape.reduce((at, length, i) => at + (length - 1) * (strides?.[i] ?? 0), 0);
    const size = byteLength(source.dtype, [1]);
    if (strides !== undefined && !shape.includes(0)) assert.ok((last + 1) * size <= source.byteLength);
    return;
  }
  for (const part of Object.values(coded)) {
    if (typeof part === "object" && "offset" in part) checkInside(part, fileLength);
  }
}

function smallSensitivity(): object {
  return {
    llq: "sensitivity 1",
    architecture: "llama",
    fingerprint: "0123456789abcdef".repeat(4),
    text: "text.txt",
    context: 512,
    chunks: 8,
    imatrix: null,
    tensors: [
      { name: "output.weight", shape: [2, 32], kld: { Q3_K: 0.25, Q8_0: 1e-5 } },
      { name: "blk.0.ffn_down_exps.weight", shape: [4, 2, 32], kld: { Q3_K: 3e-4 } },
    ],
  };
}

/** An array of each kind, whole and in chunks, and values that are none. */
function smallFlax(): Uint8Array {
  const bytes = Uint8Array.from({ length: 24 }, (_, i) => i);
  return buildFlax({
    model: { embed: { embedding: flaxArray([2, 3], "float32", bytes) } },
    layers: { 0: { kernel: flaxChunked([3, 4], "bfloat16", bytes, 10) } },
    norm: { scale: flaxArray([3], "float64", bytes) },
    ids: flaxArray([6], "int32", bytes),
    step: 70000,
  });
}

function parseFlax(bytes: Uint8Array): void {
  const { tensors } = readFlax(new BufferSource("x.msgpack", bytes));
  for (const [name, tensor] of tensors) {
    const { offset, byteLength: length, runs = [{ offset, byteLength: length }] } = tensor;
    assert.equal(length, byteLength(tensor.dtype, tensor.shape), name);
    assert.equal(
      runs.reduce((sum, run) => sum + run.byteLength, 0),
      length,
      name,
    );
    for (const run of runs) assert.ok(run.offset > 0 && run.offset + run.byteLength <= bytes.length, name);
  }
}

/** Version 0 with an output of its own, version 1 without. */
function smallLlama2c(): Uint8Array[] {
  const zeros = (count: number) => [new Uint8Array(count * 4)];
  return [
    buildLlama2c({ numbers: [4, 6, 1, 2, 1, -3, 5], tensors: zeros(166) }),
    buildLlama2c({ version: 1, numbers: [4, 6, 1, 2, 1, 3, 5], shared: 1, tensors: zeros(144) }),
  ];
}

/** Renumbered by putting a piece of a pickle somewhere, before what is there or over it. */
function opcodeSample(
  pickle: string,
  wrap = (text: string): Uint8Array => Buffer.from(text, "latin1"),
): Sample {
  return {
    bytes: wrap(pickle),
    renumbered(random) {
      const at = random.below(pickle.length);
      const piece = random.pick(PIECES);
      return wrap(pickle.slice(0, at) + piece + pickle.slice(at + random.below(2) * piece.length));
    },
  };
}

function contiguous(shape: readonly number[]): number[] {
  return shape.map((_, i) => elementCount(shape.slice(i + 1)));
}

/** What a pickle built is data of the known kinds, and names no global that is not allowed. */
function checkInert(value: PickleValue): void {
  const seen = new Set<PickleValue>();
  const open: PickleValue[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== "object" || next === null) {
      assert.ok(["number", "bigint", "string", "boolean", "object"].includes(typeof next));
      continue;
    }
    if (seen.has(next)) continue;
    seen.add(next);
    if (Array.isArray(next)) open.push(...next);
    else if (next.kind === "global") assert.ok(ALLOWED_GLOBALS.has(next.name), next.name);
    else if (next.kind === "call") open.push(next.callee, ...next.args);
    else if (next.kind === "tuple") open.push(...next.items);
    else if (next.kind === "dict")
      open.push(...(next.entries?.keys() ?? []), ...(next.entries?.values() ?? []));
    else open.push(next.id);
  }
}

/** Pieces of every type but bytes, and a replacement of characters. */
function smallSentencePiece(modelType: string): Uint8Array {
  const texts = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", "ab", "<n>", "old"];
  const types = [2, 3, 3, 1, 1, 1, 1, 1, 4, 5];
  const pieces = texts.map(
    (text, i): Field => [
      1,
      protobuf([
        [1, text],
        [2, { f32: -i }],
        [3, types[i]!],
      ]),
    ],
  );
  const trainer = protobuf([
    [3, modelType === "unigram" ? 1 : 2],
    [35, 0],
    [40, 0],
    [41, 1],
    [42, 2],
    [43, -1n],
  ]);
  const normalizer = protobuf([
    [1, "mine"],
    [2, charsmap(0x09, " ")],
    [3, 1],
    [4, 1],
    [5, 1],
  ]);
  return protobuf([...pieces, [2, trainer], [3, normalizer]]);
}

/** A precompiled_charsmap that replaces one ASCII character. */
export function charsmap(character: number, replacement: string): Uint8Array {
  const [children, leaf] = [256, 512];
  const trie = new Uint32Array(768); // in blocks of 256, so that no byte leads out of it
  trie[0] = children << 10;
  trie[children ^ character] = character | 0x100 | ((children ^ character ^ leaf) << 10);
  trie[leaf] = 0x80000000; // the replacement at 0
  const length = Uint32Array.of(trie.byteLength);
  return Buffer.concat([
    new Uint8Array(length.buffer),
    new Uint8Array(trie.buffer),
    Buffer.from(`${replacement}\0`),
  ]);
}

function smallBpeJson(preTokenizer: string): object {
  return {
    normalizer: { type: "Sequence", normalizers: [] },
    pre_tokenizer: {
      type: preTokenizer,
      add_prefix_space: false,
      replacement: "▁",
      split: false,
      use_regex: true,
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>" } }, { Sequence: { id: "A" } }],
    },
    added_tokens: [
      { id: 4, content: "<s>", special: true },
      { id: 5, content: "<x>", special: false },
    ],
    model: {
      type: "BPE",
      unk_token: "<unk>",
      byte_fallback: true,
      vocab: { "<unk>": 0, a: 1, b: 2, ab: 3, "<s>": 4, Ġ: 6, Ġa: 7 },
      merges: ["a b", ["Ġ", "a"]],
    },
  };
}

function smallUnigramJson(): object {
  return {
    normalizer: { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
    added_tokens: [],
    model: {
      type: "Unigram",
      unk_id: 0,
      vocab: [
        ["<unk>", 0],
        ["▁", -1],
        ["a", -2.5],
        ["▁a", -3],
      ],
    },
  };
}

export function jsonSample(value: object): Sample {
  const text = JSON.stringify(value);
  const utf8 = new TextEncoder();
  return { bytes: utf8.encode(text), renumbered: (random) => utf8.encode(withAnotherToken(text, random)) };
}

/** A vocabulary that was accepted encodes any text, and goes to GGUF and back. */
export function tryTokenizer(vocab: Vocab): void {
  assert.equal(vocab.types.length, vocab.tokens.length);
  const tokenizer = createTokenizer(vocab);
  const ids = tokenizer.encode(" a ab  ba<n>é\u00a0ﬁ<x>🦙\n");
  assert.equal(typeof tokenizer.decode(ids), "string");
  const metadata = readGguf(new BufferSource("x", ggufHeader(vocabToMetadata(vocab), []).header)).metadata;
  assert.deepEqual(
    createTokenizer(vocabFromMetadata("x", metadata)).encode("a ab"),
    tokenizer.encode("a ab"),
  );
}

/** The bytes and a token of two of them, with one that is not used. */
function smallTekken(): object {
  const bytes = Array.from({ length: 256 }, (_, byte) => Buffer.of(byte));
  const tokens = [...bytes, Buffer.from("ab"), Buffer.from("ba")];
  const [pattern] = findPreTokenizer("tekken")!.split;
  return {
    config: { pattern, default_vocab_size: 260, default_num_special_tokens: 3 },
    vocab: tokens.map((token, rank) => ({ rank, token_bytes: token.toString("base64") })),
    special_tokens: ["<unk>", "<s>"].map((text, rank) => ({ rank, token_str: text })),
  };
}

function smallGguf(): Built {
  return buildGguf({
    fields: [["k", T.array, { item: T.string, values: ["a", "b"] }]],
    tensors: [
      { name: "a", dims: [2] },
      { name: "b", dims: [2], offset: 32 },
    ],
    data: 64,
  });
}

function bigEndianSample(built: Built): Sample {
  const { renumbered } = binarySample(built);
  return {
    bytes: turned(built),
    renumbered: (random) => turned({ ...built, bytes: renumbered(random) }),
  };
}

function binarySample({ bytes, numbers }: Built): Sample {
  return {
    bytes,
    renumbered(random) {
      const copy = Buffer.from(bytes);
      const { at, size } = random.pick(numbers);
      const value = random.below(4) === 0 ? BigInt(random.below(bytes.length + 2)) : random.pick(EDGES);
      if (size === 4) copy.writeUInt32LE(Number(BigInt.asUintN(32, value)), at);
      else copy.writeBigUInt64LE(BigInt.asUintN(64, value), at);
      return copy;
    },
  };
}

/** Renumbered at any byte: for formats of which all numbers have 32 bits. */
export function anyNumberSample(bytes: Uint8Array): Sample {
  return {
    bytes,
    renumbered(random) {
      const copy = Uint8Array.from(bytes); // a Buffer's slice() is no copy
      const value = Number(BigInt.asUintN(32, random.pick(EDGES)));
      new DataView(copy.buffer).setUint32(random.below(copy.length - 3), value, true);
      return copy;
    },
  };
}

function headerSample(header: string, data: number): Sample {
  return {
    bytes: buildSafetensors(header, data),
    renumbered: (random) => buildSafetensors(withAnotherToken(header, random), data),
  };
}

const TOKENS = [
  '"F32"',
  '"I64"',
  '"F4"',
  '"__proto__"',
  "null",
  "[]",
  "{",
  "}",
  ",",
  '"\\ud800"',
  "1.5",
  "-1",
  "1e9",
];

/** A number, a string or a sign of the JSON text replaced by an edge, or by another of its own tokens. */
function withAnotherToken(text: string, random: Random): string {
  const tokens = [...text.matchAll(/"(?:[^"\\]|\\.)*"|[0-9]+|[{}[\],:]/g)];
  if (tokens.length === 0) return text;
  const { 0: old, index } = random.pick(tokens);
  const by = random.pick([String(random.pick(EDGES)), random.pick(tokens)[0], random.pick(TOKENS)]);
  return text.slice(0, index) + by + text.slice(index + old.length);
}

function parseGguf(bytes: Uint8Array): void {
  const gguf = readGguf(new BufferSource("x.gguf", bytes));
  checkTensors(gguf, bytes.length);
  const ranges = [...gguf.tensors.values()].filter((tensor) => tensor.byteLength > 0);
  for (const a of ranges) {
    assert.equal(a.offset % gguf.alignment, 0);
    for (const b of ranges)
      assert.ok(a === b || a.offset >= b.offset + b.byteLength || b.offset >= a.offset + a.byteLength);
  }
  for (const field of gguf.metadata.values()) assert.notEqual(field.value, undefined);
  checkCopy(gguf);
}

/** What was accepted can be written and read back, and is the same. */
function checkCopy(gguf: Container): void {
  const { header, byteLength } = rewritten(gguf);
  const file = new Uint8Array(byteLength);
  file.set(header);
  const copy = readGguf(new BufferSource("copy.gguf", file));
  assert.equal(Buffer.compare(rewritten(copy).header, header), 0);
}

function rewritten({ metadata, tensors }: Container): GgufHeader {
  return ggufHeader(
    metadata,
    Array.from(tensors, ([name, tensor]) => ({ name, ...tensor })),
  );
}

function parseImatrix(bytes: Uint8Array): void {
  const { entries, chunks } = readImatrix(new BufferSource("x", bytes));
  assert.ok(entries.size > 0 && chunks >= 0);
  for (const [name, values] of entries) {
    assert.ok(values.length > 0 && values.length * 4 < bytes.length, name);
    assert.ok(
      values.every((value) => value >= 0 && Number.isFinite(value)),
      name,
    );
  }
}

function parseSafetensors(bytes: Uint8Array): void {
  const container = readSafetensors(new BufferSource("x.safetensors", bytes));
  checkTensors(container, bytes.length);
  for (const field of container.metadata.values()) assert.equal(typeof field.value, "string");
}

function checkTensors({ tensors }: Container, fileLength: number): void {
  for (const [name, tensor] of tensors) {
    assert.equal(tensor.byteLength, byteLength(tensor.dtype, tensor.shape), name);
    assert.ok(tensor.offset > 0 && tensor.offset + tensor.byteLength <= fileLength, name);
    assert.ok(
      tensor.shape.every((length) => Number.isSafeInteger(length) && length >= 0),
      name,
    );
  }
}
