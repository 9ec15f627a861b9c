// Files of big-endian machines differ in every number; what is written is little-endian. Numbers within blocks are
// where ggml's block structs have them: gguf_convert_endian.py (llama.cpp) lists the types it knows, and these are they.
import { swap16, swap32 } from "#host/bytes";
import { t } from "../../src/language/t.js";
import { BufferSource, ByteReader } from "../bytes.js";
import type { MetaType } from "../container.js";
import { type DTypeName, dtype } from "../dtype.js";

/** Where a block has numbers of two bytes. Its other parts are bytes, or several numbers to a byte. */
const HALVES: Partial<Record<DTypeName, readonly number[]>> = {
  F16: [0],
  BF16: [0],
  Q1_0: [0],
  Q4_0: [0],
  Q8_0: [0],
  Q4_K: [0, 2],
  Q6_K: [208],
  TQ2_0: [64],
  MXFP4: [],
  NVFP4: [],
};

/** The types whose blocks can be turned. */
export const TURNED: readonly DTypeName[] = ["F32", ...(Object.keys(HALVES) as DTypeName[])];

/** Turns the numbers of whole blocks from one byte order to the other, in place. */
export function turnBlocks(name: DTypeName, bytes: Uint8Array): void {
  const { typeSize } = dtype(name);
  if (name === "F32") swap32(bytes);
  else if (typeSize === 2) swap16(bytes);
  else {
    for (const half of HALVES[name]!) {
      for (let at = half; at < bytes.length; at += typeSize) {
        const first = bytes[at]!;
        bytes[at] = bytes[at + 1]!;
        bytes[at + 1] = first;
      }
    }
  }
}

/** A number's bytes; undefined for what is no number. */
const WIDTH: Partial<Record<MetaType, number>> = {
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
};

/**
 * A metadata value of a big-endian file, in place, as a little-endian one has it.
 * @param types gguf_type by number
 */
export function turnValue(bytes: Uint8Array, type: MetaType, types: readonly MetaType[]): void {
  new ValueTurner(bytes, types).turn(type);
}

class ValueTurner {
  readonly #bytes: Uint8Array;
  readonly #types: readonly MetaType[];
  /** Reads ahead of what is turned. */
  readonly #r: ByteReader;

  constructor(bytes: Uint8Array, types: readonly MetaType[]) {
    this.#bytes = bytes;
    this.#types = types;
    this.#r = new ByteReader(new BufferSource("value", bytes.slice()), 0, false);
  }

  turn(type: MetaType): void {
    const r = this.#r;
    if (type === "string") r.skip(this.#number(8, () => r.u64(t`a length`)));
    else if (type !== "array") this.#number(WIDTH[type] ?? 1, () => r.skip(WIDTH[type] ?? 1));
    else {
      const item = this.#types[this.#number(4, () => r.u32())]!;
      const count = this.#number(8, () => r.u64(t`a number of items`));
      for (let i = 0; i < count; i++) this.turn(item);
    }
  }

  /** Reads a number of `width` bytes, and turns it. */
  #number<T>(width: number, read: () => T): T {
    const at = this.#r.offset;
    const value = read();
    this.#bytes.subarray(at, at + width).reverse();
    return value;
  }
}
