import { t } from "../src/language/t.js";
import type { DTypeName } from "./dtype.js";

/** Where a tensor's bytes are. */
export interface TensorSource {
  /** Index into Container.files. */
  readonly file: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly byteLength: number;
  readonly dtype: DTypeName;
  /** Outermost dimension first, always. */
  readonly shape: readonly number[];
  /** The numbers in the bytes are those of a big-endian machine; rows are turned when they are read. */
  readonly bigEndian?: true;
  /** Elements from one index to the next of each dimension; undefined when rows are contiguous, in order. */
  readonly strides?: readonly number[];
  /** Where the bytes stand when they do not follow each other, in order; `offset` is the first one's. */
  readonly runs?: readonly Run[];
  /** What the bytes are when they are not weights yet; `dtype` is then what they are decoded to, F32 mostly. */
  readonly coded?: Coding;
}

/** How stored numbers become weights. Plain data; each kind adds its own (src/rows/packed). */
export interface Coding {
  readonly kind: string;
}

/** A tensor of another type than those of DTYPES: whole numbers, small floats. */
export interface RawSource {
  /** As safetensors names it. */
  readonly type: string;
  readonly file: number;
  readonly offset: number;
  readonly byteLength: number;
  readonly shape: readonly number[];
}

/** Some bytes of a file. */
export interface Run {
  readonly offset: number;
  readonly byteLength: number;
}

/** GGUF's value types, which also describe what other containers hold. */
// biome-ignore format: one line
export type MetaType =
  | "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "bool" | "string" | "array" | "u64" | "i64" | "f64";

export type MetaValue = number | bigint | boolean | string | readonly MetaValue[];

/** A metadata value with its stored type, so that GGUF → GGUF keeps what it does not understand. */
export interface MetaField {
  readonly type: MetaType;
  /** Type of the items, for `array`. */
  readonly item?: MetaType;
  /** How many items an `array` has, where that is known without decoding it. */
  readonly count?: number;
  readonly value: MetaValue;
  /** The value's bytes as they stood in the file: written back verbatim. */
  readonly raw?: Uint8Array;
}

export type Metadata = ReadonlyMap<string, MetaField>;

/** A checkpoint on disk: named tensors located in files, and metadata. What the names mean is not known here. */
export interface Container {
  readonly format: "gguf" | "safetensors" | "torch" | "flax" | "llama2.c";
  /** Paths of the files that hold tensors. */
  readonly files: readonly string[];
  /** In file order. */
  readonly tensors: ReadonlyMap<string, TensorSource>;
  /** Tensors of types that have no row in DTYPES (masks, position ids): the name, and the type as the file calls it. */
  readonly opaque: ReadonlyMap<string, string>;
  /** Where those are, in containers that say: weights may be packed in them. */
  readonly raw?: ReadonlyMap<string, RawSource>;
  /** mlx-lm saved it: some values are as it computes with them (TensorRow.doneByMlx). */
  readonly ofMlx?: boolean;
  /** Names of tensors that were passed over, because they are no part of the language model. */
  readonly leftOut?: readonly string[];
  /** What a user should know of how its weights are read. */
  readonly remarks?: readonly string[];
  /** Empty for containers that have none. */
  readonly metadata: Metadata;
}

/**
 * What is wrong with the name of a tensor or of a metadata key, if anything. Names that pass can be printed,
 * and come back from any container as they went in.
 */
export function nameProblem(name: string): string | undefined {
  if (name === "") return t`is empty`;
  if (name.length > MAX_NAME) return t`has ${name.length} characters, at most ${MAX_NAME} are allowed`;
  // By far the most are ASCII, which is the faster to test.
  if (/[^ -~]/.test(name) && /[\p{Cc}\p{Cs}]/u.test(name))
    return t`has characters that cannot be printed: ${JSON.stringify(name.slice(0, 80))}`;
  return undefined;
}

/** GGUF's limit for a key, in bytes. */
export const MAX_NAME = 65535;
