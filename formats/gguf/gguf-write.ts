import { t } from "../../src/language/t.js";
import { ByteWriter } from "../byte-writer.js";
import { alignUp } from "../bytes.js";
import type { Metadata, MetaField, MetaType, MetaValue, TensorSource } from "../container.js";
import { byteLength, dtype } from "../dtype.js";
import { badInput, LlqError } from "../errors.js";
import { ALIGNMENT_KEY, DEFAULT_ALIGNMENT, GGUF_MAGIC, MAX_RANK } from "./gguf.js";
import { META_TYPES } from "./metadata.js";

const VERSION = 3;
/** GGML_MAX_NAME with room for C's closing zero. */
const MAX_NAME_BYTES = 63;

/** What the header says of a tensor; the shape has the outermost dimension first. */
export interface TensorHeader extends Pick<TensorSource, "dtype" | "shape"> {
  readonly name: string;
}

export interface GgufHeader {
  /** The file up to the first tensor's data, padding included. */
  readonly header: Uint8Array;
  /** Where each tensor's data goes: bytes from the start of the file. */
  readonly offsets: readonly number[];
  /** Of the whole file. */
  readonly byteLength: number;
}

/**
 * The header of a GGUF file (version 3), and where the data goes. Metadata is written in the map's order and
 * tensors in the array's, so equal arguments give equal bytes. Each tensor's data is padded with zeros to the
 * alignment (`general.alignment`, or 32), the last one's too, as ggml does; a file without tensors just ends.
 * @throws LlqError `unsupported` for tensors that ggml could not read back, `bad-input` for a metadata value
 * out of its type's range
 */
export function ggufHeader(metadata: Metadata, tensors: readonly TensorHeader[]): GgufHeader {
  const w = new ByteWriter();
  w.u32(GGUF_MAGIC);
  w.u32(VERSION);
  w.u64(tensors.length);
  w.u64(metadata.size);
  for (const [key, field] of metadata) {
    writeString(w, key);
    writeField(w, key, field);
  }
  const alignment = Number(metadata.get(ALIGNMENT_KEY)?.value ?? DEFAULT_ALIGNMENT);
  let end = 0;
  const starts = tensors.map((tensor) => {
    const start = end;
    writeTensorInfo(w, tensor, start);
    end = alignUp(start + byteLength(tensor.dtype, tensor.shape), alignment);
    return start;
  });
  if (tensors.length > 0) w.align(alignment);
  const header = w.toBytes();
  return {
    header,
    offsets: starts.map((start) => header.length + start),
    byteLength: header.length + end,
  };
}

function writeTensorInfo(w: ByteWriter, { name, dtype: type, shape }: TensorHeader, offset: number): void {
  if (shape.length > MAX_RANK) {
    const message = t`tensor ${name} has ${shape.length} dimensions, GGUF has at most ${MAX_RANK}`;
    throw new LlqError("unsupported", message);
  }
  const nameBytes = encoder.encode(name);
  if (nameBytes.length > MAX_NAME_BYTES) {
    const message = t`the name of tensor ${name} has ${nameBytes.length} bytes, ggml reads at most ${MAX_NAME_BYTES}`;
    throw new LlqError("unsupported", message);
  }
  w.u64(nameBytes.length);
  w.bytes(nameBytes);
  w.u32(shape.length);
  for (const length of shape.toReversed()) w.u64(length); // the file has the innermost first
  w.u32(dtype(type).ggml!);
  w.u64(offset);
}

function writeField(w: ByteWriter, key: string, field: MetaField): void {
  const { type, item, raw } = field; // its value is decoded when asked for: not where raw bytes are copied
  w.u32(META_TYPES.indexOf(type));
  if (raw !== undefined) {
    w.bytes(raw);
  } else if (type === "array") {
    const items = field.value as readonly MetaValue[];
    w.u32(META_TYPES.indexOf(item!));
    w.u64(items.length);
    for (const each of items) writeValue(w, key, item!, each);
  } else {
    writeValue(w, key, type, field.value);
  }
}

function writeValue(w: ByteWriter, key: string, type: MetaType, value: MetaValue): void {
  const range = RANGE[type];
  if (range !== undefined && !isIntegerIn(range, value)) {
    throw badInput(t`metadata key ${key}: ${value} is not a whole number of type ${type}`);
  }
  if (type === "array") throw new Error("arrays of arrays are only ever copied");
  if (type === "string") writeString(w, value as string);
  else if (type === "bool") w.u8(value ? 1 : 0);
  else w[type](value as number); // the writer's methods are called as the types are
}

/** Smallest and largest value of the integer types. */
const RANGE: Partial<Record<MetaType, readonly [number | bigint, number | bigint]>> = {
  u8: [0, 0xff],
  i8: [-0x80, 0x7f],
  u16: [0, 0xffff],
  i16: [-0x8000, 0x7fff],
  u32: [0, 0xffffffff],
  i32: [-0x80000000, 0x7fffffff],
  u64: [0, 2n ** 64n - 1n],
  i64: [-(2n ** 63n), 2n ** 63n - 1n],
};

function isIntegerIn([low, high]: readonly [number | bigint, number | bigint], value: MetaValue): boolean {
  const whole = typeof value === "bigint" || Number.isSafeInteger(value);
  return whole && (value as number | bigint) >= low && (value as number | bigint) <= high;
}

const encoder = new TextEncoder();

function writeString(w: ByteWriter, text: string): void {
  const bytes = encoder.encode(text);
  w.u64(bytes.length);
  w.bytes(bytes);
}

/** Metadata values by their type: `meta.u32(5)`, `meta.strings(["a", "b"])`. */
export const meta = {
  u8: (value: number): MetaField => ({ type: "u8", value }),
  u16: (value: number): MetaField => ({ type: "u16", value }),
  u32: (value: number): MetaField => ({ type: "u32", value }),
  i32: (value: number): MetaField => ({ type: "i32", value }),
  u64: (value: number | bigint): MetaField => ({ type: "u64", value }),
  f32: (value: number): MetaField => ({ type: "f32", value: Math.fround(value) }),
  bool: (value: boolean): MetaField => ({ type: "bool", value }),
  string: (value: string): MetaField => ({ type: "string", value }),
  strings: (values: Iterable<string>): MetaField => array("string", values),
  /** Strings that are asked for when they are needed: `get` gives the same each time. */
  lateStrings: (get: () => readonly string[]): MetaField => ({
    type: "array",
    item: "string",
    get value() {
      return get();
    },
  }),
  f32s: (values: Iterable<number>): MetaField => array("f32", values),
  i32s: (values: Iterable<number>): MetaField => array("i32", values),
  u32s: (values: Iterable<number>): MetaField => array("u32", values),
  u8s: (values: Iterable<number>): MetaField => array("u8", values),
  bools: (values: Iterable<boolean>): MetaField => array("bool", values),
};

function array(item: MetaType, values: Iterable<MetaValue>): MetaField {
  return { type: "array", item, value: [...values] };
}
