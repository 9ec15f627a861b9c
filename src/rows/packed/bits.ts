import type { TensorSource } from "../../../formats/container.js";
import { rowLength } from "../../tensor.js";
import type { Reader } from "./reader.js";

/** How whole numbers lie in 32-bit words, lowest bits first. */
export interface Layout {
  readonly bits: number;
  /** Numbers in a word, whose highest bits are left over; undefined: the bits of all words are one line of them. */
  readonly perWord?: number | undefined;
  /** 32 numbers are in as many words as they have bits: first their lowest four (or two) bits, then the higher ones. */
  readonly planar?: boolean;
}

/** Bits of each plane of planar numbers, lowest first. */
const PLANES: Readonly<Record<number, readonly number[]>> = {
  2: [2],
  3: [2, 1],
  4: [4],
  5: [4, 1],
  6: [4, 2],
  7: [4, 2, 1],
  8: [8],
};

const BLOCK = 32;

/** Words that so many numbers take. */
export function wordsFor({ bits, perWord }: Layout, count: number): number {
  return perWord === undefined ? Math.ceil((count * bits) / 32) : Math.ceil(count / perWord);
}

/** The word in which a number begins, and at which bit of it. */
function placeOf({ bits, perWord }: Layout, i: number): readonly [word: number, shift: number] {
  if (perWord !== undefined) return [Math.floor(i / perWord), (i % perWord) * bits];
  return [Math.floor((i * bits) / 32), (i * bits) % 32];
}

/** The first numbers of `out.length`, from the words beginning at `at`. */
export function unpackBits(layout: Layout, words: Uint32Array, at: number, out: Float32Array): void {
  const { bits, perWord } = layout;
  if (layout.planar) {
    unpackPlanes(bits, words, at, out);
    return;
  }
  const mask = 2 ** bits - 1;
  if (perWord === undefined && 32 % bits !== 0) {
    let shift = 0;
    for (let i = 0; i < out.length; i++) {
      let code = words[at]! >>> shift;
      shift += bits;
      if (shift >= 32) {
        shift -= 32;
        at++;
        if (shift > 0) code |= words[at]! << (bits - shift);
      }
      out[i] = code & mask;
    }
    return;
  }
  const end = (perWord ?? 32 / bits) * bits;
  for (let i = 0; i < out.length; at++) {
    const word = words[at]!;
    for (let shift = 0; shift < end && i < out.length; shift += bits) out[i++] = (word >>> shift) & mask;
  }
}

function unpackPlanes(bits: number, words: Uint32Array, at: number, out: Float32Array): void {
  out.fill(0);
  for (let first = 0; first < out.length; first += BLOCK) {
    let below = 0;
    for (const width of PLANES[bits]!) {
      const mask = 2 ** width - 1;
      const unit = 2 ** below;
      for (let i = first; i < first + BLOCK; at++) {
        const word = words[at]!;
        for (let shift = 0; shift < 32; shift += width) out[i++]! += ((word >>> shift) & mask) * unit;
      }
      below += width;
    }
  }
}

/** Numbers [count, columns] of `source`, whose words [words, columns] hold rows: those from row `first` on. */
export function unpackRows(
  reader: Reader,
  layout: Layout,
  source: TensorSource,
  first: number,
  count: number,
): Float32Array {
  const { bits } = layout;
  if (layout.planar) return unpackPlanarRows(reader, bits, source, first, count);
  const mask = 2 ** bits - 1;
  const columns = rowLength(source);
  const [from] = placeOf(layout, first);
  const [lastWord, lastShift] = placeOf(layout, first + count - 1);
  const words = reader.words(source, from, lastWord + (lastShift + bits > 32 ? 2 : 1) - from);
  const out = new Float32Array(count * columns);
  for (let r = 0; r < count; r++) {
    const [word, shift] = placeOf(layout, first + r);
    for (let c = 0; c < columns; c++) {
      const at = (word - from) * columns + c;
      const high = shift + bits > 32 ? words[at + columns]! << (32 - shift) : 0;
      out[r * columns + c] = ((words[at]! >>> shift) | high) & mask;
    }
  }
  return out;
}

function unpackPlanarRows(
  reader: Reader,
  bits: number,
  source: TensorSource,
  first: number,
  count: number,
): Float32Array {
  const columns = rowLength(source);
  const from = Math.floor(first / BLOCK);
  const until = Math.ceil((first + count) / BLOCK);
  const words = reader.words(source, from * bits, (until - from) * bits);
  const block = new Uint32Array((until - from) * bits);
  const numbers = new Float32Array((until - from) * BLOCK);
  const out = new Float32Array(count * columns);
  for (let c = 0; c < columns; c++) {
    for (let w = 0; w < block.length; w++) block[w] = words[w * columns + c]!;
    unpackPlanes(bits, block, 0, numbers);
    for (let r = 0; r < count; r++) out[r * columns + c] = numbers[first + r - from * BLOCK]!;
  }
  return out;
}
