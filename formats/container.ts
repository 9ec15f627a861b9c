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
  readonly value: MetaValue;
  /** The value's bytes as they stood in the file: written back verbatim. */
  readonly raw?: Uint8Array;
}

export type Metadata = ReadonlyMap<string, MetaField>;

/** A checkpoint on disk: named tensors located in files, and metadata. What the names mean is not known here. */
export interface Container {
  readonly format: "gguf" | "safetensors";
  /** Paths of the files that hold tensors. */
  readonly files: readonly string[];
  /** In file order. */
  readonly tensors: ReadonlyMap<string, TensorSource>;
  /** Empty for containers that have none. */
  readonly metadata: Metadata;
}
