// Values of GGUF's metadata:  type u32 | value
// Lengths are u64; an array is  type of an item u32 | count u64 | items.
import { t } from "../../src/language/t.js";
import { BufferSource, ByteReader } from "../bytes.js";
import type { MetaField, MetaType, MetaValue } from "../container.js";
import { badInput } from "../errors.js";
import { turnValue } from "./byte-order.js";

/** gguf_type: the id in the file is the index here. */
// biome-ignore format: one line
export const META_TYPES = [
  "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64",
] as const satisfies readonly MetaType[];

/** Bytes of a value; of strings and arrays, the fewest they can have. */
// biome-ignore format: one line
const SIZE: Record<MetaType, number> = {
  u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, bool: 1, string: 8, array: 12, u64: 8, i64: 8, f64: 8,
};

/** A vocabulary takes 20 MB; more than this only takes memory. */
const MAX_METADATA = 2 ** 28; // bytes
/** Arrays of arrays are allowed by the format, though nobody is known to write them. */
const MAX_DEPTH = 4;

/** A value is checked now and decoded when first asked for: vocabularies are large, and often only copied. */
export function readField(r: ByteReader, key: string): MetaField {
  const type = readType(r, key);
  const start = r.offset;
  skipValue(r, key, type, 1);
  const length = r.offset - start;
  if (r.offset > MAX_METADATA) r.fail(t`metadata of more than ${MAX_METADATA} bytes`, undefined, start);
  r.offset = start;
  const raw = r.bytes(length);
  if (!r.littleEndian) turnValue(raw, type, META_TYPES);
  let value: MetaValue | undefined;
  return {
    type,
    ...(type === "array" && {
      item: META_TYPES[raw[0]!]!,
      count: new ByteReader(new BufferSource(key, raw), 4).u64("items"),
    }),
    raw,
    get value() {
      value ??= new ValueReader(r.source.name, key, raw).read(type);
      return value;
    },
  };
}

function readType(r: ByteReader, key: string): MetaType {
  const at = r.offset;
  const id = r.u32();
  return META_TYPES[id] ?? r.fail(t`metadata key ${key} has unknown type ${id}`, undefined, at);
}

/** Moves past a value, checking it on the way; `depth` counts the arrays around its items. */
function skipValue(r: ByteReader, key: string, type: MetaType, depth: number): void {
  if (type === "array") skipArray(r, key, depth);
  else r.skip(type === "string" ? r.count(1, t`bytes in ${key}`) : SIZE[type]);
}

function skipArray(r: ByteReader, key: string, depth: number): void {
  if (depth > MAX_DEPTH) r.fail(t`metadata key ${key} has arrays nested deeper than ${MAX_DEPTH}`);
  const item = readType(r, key);
  const count = r.count(SIZE[item], t`items in ${key}`);
  if (item === "string" || item === "array") {
    for (let i = 0; i < count; i++) skipValue(r, key, item, depth + 1);
  } else {
    r.skip(count * SIZE[item]);
  }
}

/** Items of a value that is decoded: no vocabulary has as many, and each takes memory. */
const MAX_ITEMS = 2 ** 21;

/** Decodes a value that skipValue has passed. */
class ValueReader {
  readonly #file: string;
  readonly #key: string;
  readonly #r: ByteReader;
  #items = 0;

  constructor(file: string, key: string, raw: Uint8Array) {
    this.#file = file;
    this.#key = key;
    this.#r = new ByteReader(new BufferSource(key, raw));
  }

  /** @throws LlqError `bad-input` for one of too many items */
  read(type: MetaType): MetaValue {
    const r = this.#r;
    switch (type) {
      case "array": {
        const item = META_TYPES[r.u32()]!;
        const length = r.u64(t`a number of items`);
        this.#items += length;
        if (this.#items > MAX_ITEMS) {
          throw badInput(t`${this.#file}: metadata key ${this.#key} has more than ${MAX_ITEMS} items`);
        }
        return Array.from({ length }, () => this.read(item));
      }
      case "string":
        return r.text(r.u64(t`a number of bytes`));
      case "bool":
        return r.u8() !== 0;
      case "u64":
        return r.bigU64();
      case "i64":
        return r.bigI64();
      default:
        return r[type](); // the reader's methods are called as the types are
    }
  }
}
