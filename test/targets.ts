import assert from "node:assert/strict";
import { BufferSource } from "../formats/bytes.js";
import type { Container } from "../formats/container.js";
import { byteLength } from "../formats/dtype.js";
import { readGguf } from "../formats/gguf.js";
import { type GgufHeader, ggufHeader } from "../formats/gguf-write.js";
import { readImatrix } from "../formats/imatrix.js";
import { readSafetensors } from "../formats/safetensors.js";
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
} from "./build.js";
import { EDGES, type Sample, type Target } from "./damage.js";
import type { Random } from "./random.js";

/** What is damaged, by npm test and, for longer, by npm run fuzz. */
export const TARGETS: readonly Target[] = [
  {
    name: "gguf",
    samples: [everyFieldGguf, smallGguf(), buildGguf({ version: 2 })].map(binarySample),
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
];

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
function anyNumberSample(bytes: Uint8Array): Sample {
  return {
    bytes,
    renumbered(random) {
      const copy = bytes.slice();
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
