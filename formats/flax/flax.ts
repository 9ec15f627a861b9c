// Flax: one MessagePack map, nested, with arrays as extensions of type 1:  [shape, dtype, bytes]
// See flax.md for the layout and for what is refused.

import * as v from "valibot";
import { t } from "../../src/language/t.js";
import { ByteReader, type ByteSource } from "../bytes.js";
import { type Container, nameProblem, type Run, type TensorSource } from "../container.js";
import { type DTypeName, elementCount, byteLength as sizeOf } from "../dtype.js";
import { badInput, LlqError } from "../errors.js";
import { decodeAround, Span } from "./messagepack.js";

/** Flax's codes of extensions: an array; others are a complex number (2) and a scalar (3). */
const ARRAY = 1;
const CHUNKED = "__msgpack_chunked_array__";

/** What NumPy calls the types that have a row in DTYPES. */
const TYPES: Readonly<Record<string, DTypeName>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
};

const MAX_TENSORS = 2 ** 15;
const MAX_DEPTH = 64;
/** Of names in all: keys are joined, and a long one can be part of many names. */
const MAX_NAMES = 2 ** 25;

/** An array as the file has it. */
interface Stored {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly runs: readonly Run[];
}

/** Whether this may be a Flax file: a map of at least one name. */
export function isFlax(source: ByteSource): boolean {
  if (source.byteLength < 2) return false;
  const [first, second] = source.read(0, 2) as Uint8Array & [number, number];
  const isMap = (first > 0x80 && first < 0x90) || first === 0xde;
  return isMap && (first === 0xde || (second > 0xa0 && second < 0xc0) || second === 0xd9);
}

/**
 * Everything in a Flax checkpoint but the arrays' data, whose place is checked. A name is the way to the array,
 * with slashes: `model/layers/0/mlp/up_proj/kernel`.
 * @throws LlqError `bad-input` when the file breaks a rule of flax.md
 */
export function readFlax(source: ByteSource): Container {
  const r = new ByteReader(source);
  const { value, spans } = decodeAround(r, source.byteLength);
  if (!isMap(value)) throw badInput(t`${source.name}: not a Flax checkpoint: no map of names`);
  const walk = new Walk(r);
  walk.map(value, "", 0);
  if (walk.spans !== spans) {
    throw badInput(t`${source.name}: a name appears twice in one map`, t`the file is damaged`);
  }
  const placed = [...walk.tensors].sort(([, a], [, b]) => a.offset - b.offset);
  return {
    format: "flax",
    files: [source.name],
    tensors: new Map(placed),
    opaque: walk.opaque,
    metadata: new Map(),
  };
}

type Tree = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Span);
}

/** Collects the leaves of the tree. */
class Walk {
  readonly tensors = new Map<string, TensorSource>();
  readonly opaque = new Map<string, string>();
  /** Spans seen: fewer than there are when a map has a name twice, of which the library keeps the last. */
  spans = 0;
  readonly #r: ByteReader;
  #nameLength = 0;

  constructor(r: ByteReader) {
    this.#r = r;
  }

  map(tree: Tree, prefix: string, depth: number): void {
    if (depth > MAX_DEPTH) this.#fail(t`maps nested deeper than ${MAX_DEPTH}`);
    for (const [key, value] of Object.entries(tree)) {
      const name = prefix + key;
      this.#nameLength += name.length;
      if (this.#nameLength > MAX_NAMES) this.#fail(t`names of more than ${MAX_NAMES} characters`);
      const problem = key.includes("/") ? t`has a slash in it` : nameProblem(name);
      if (problem !== undefined) this.#fail(t`a name ${problem}`);
      if (isMap(value) && !(CHUNKED in value)) this.map(value, `${name}/`, depth + 1);
      else this.#leaf(name, value);
    }
  }

  #leaf(name: string, value: unknown): void {
    if (this.tensors.size + this.opaque.size === MAX_TENSORS) this.#fail(t`more than ${MAX_TENSORS} tensors`);
    const stored = isMap(value) ? this.#chunked(name, value) : this.#whole(name, value);
    if (stored === undefined) this.opaque.set(name, value instanceof Span ? "a scalar" : typeof value);
    else if (!Object.hasOwn(TYPES, stored.dtype)) this.opaque.set(name, stored.dtype);
    else this.tensors.set(name, this.#locate(name, stored, TYPES[stored.dtype]!));
  }

  /** An array of one piece; undefined for a value that is none, such as a number of steps. */
  #whole(name: string, value: unknown): Stored | undefined {
    if (!(value instanceof Span)) {
      if (Array.isArray(value)) this.#fail(t`${name} is a list, where Flax has a map`);
      return undefined;
    }
    this.spans++;
    if (value.code !== ARRAY) return undefined;
    this.#r.offset = value.offset;
    const parsed = v.safeParse(arrayParts, decodeAround(this.#r, value.offset + value.byteLength).value);
    if (!parsed.success) this.#fail(t`byte ${value.offset}: ${name} is no [shape, type, bytes]`);
    const [shape, dtype, { offset, byteLength }] = parsed.output!;
    return { shape, dtype, runs: [{ offset, byteLength }] };
  }

  /** An array that was too large for one piece: flat pieces, in the order of their numbers. */
  #chunked(name: string, value: Tree): Stored {
    const { shape, chunks } = value;
    const lengths = this.#listed(name, shape);
    if (!lengths.every(isLength)) return this.#fail(t`${name} is chunked and has a shape that is none`);
    const pieces = this.#listed(name, chunks).map((chunk, i) => {
      const piece = this.#whole(t`${name}, chunk ${i}`, chunk);
      if (piece === undefined || piece.shape.length !== 1)
        this.#fail(t`chunk ${i} of ${name} is no flat array`);
      const { dtype } = piece!;
      if (Object.hasOwn(TYPES, dtype)) this.#locate(t`${name}, chunk ${i}`, piece!, TYPES[dtype]!);
      return piece!;
    });
    const dtype = pieces[0]?.dtype ?? this.#fail(t`${name} has no chunks`);
    if (pieces.some((piece) => piece.dtype !== dtype)) this.#fail(t`the chunks of ${name} differ in type`);
    return { dtype, shape: lengths, runs: pieces.flatMap(({ runs }) => runs) };
  }

  /** The values of a map whose keys are 0, 1, 2 and so on, which is how Flax writes a list. */
  #listed(name: string, list: unknown): unknown[] {
    if (!isMap(list)) return this.#fail(t`${name} is chunked and has no chunks or no shape`);
    const values = Object.entries(list);
    if (values.some(([key], i) => key !== String(i)))
      this.#fail(t`the chunks or the shape of ${name} are not numbered`);
    return values.map(([, value]) => value);
  }

  #locate(name: string, { shape, runs }: Stored, dtype: DTypeName): TensorSource {
    const [{ offset }] = runs as readonly [Run];
    const stored = runs.reduce((sum, run) => sum + run.byteLength, 0);
    const expected = this.#size(name, dtype, shape);
    if (stored !== expected) {
      this.#fail(
        t`tensor ${name}: ${dtype} of shape [${shape.join(", ")}] takes ${expected} bytes, but there are ${stored}`,
      );
    }
    const base = { file: 0, offset, byteLength: stored, dtype, shape };
    return runs.length === 1 ? base : { ...base, runs };
  }

  #size(name: string, dtype: DTypeName, shape: readonly number[]): number {
    try {
      elementCount(shape);
      return sizeOf(dtype, shape);
    } catch (cause) {
      if (!(cause instanceof LlqError)) throw cause;
      return this.#fail(t`tensor ${name}: ${cause.message}`);
    }
  }

  #fail(message: string): never {
    throw badInput(`${this.#r.source.name}: ${message}`, t`the file is damaged, or no Flax checkpoint`);
  }
}

function isLength(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

const arrayParts = v.tuple([
  v.pipe(v.array(v.custom<number>(isLength)), v.maxLength(64)),
  v.string(),
  v.pipe(
    v.instance(Span),
    v.check(({ code }) => code === undefined),
  ),
]);
