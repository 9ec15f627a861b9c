import type * as v from "valibot";
import type { Coding, RawSource, TensorSource } from "../../../formats/container.js";
import type { Parts } from "./parts.js";
import type { Reader } from "./reader.js";

/** Rows of a coded source, and the address where they go in its `dtype`: as f32, with one exception. */
export interface Rows {
  readonly source: TensorSource;
  readonly first: number;
  readonly count: number;
  readonly dst: number;
}

/** What makes weights of stored numbers. */
export interface Decoder<C extends Coding = Coding> {
  readonly kind: C["kind"];
  /**
   * What it reserves of the kernels' memory is given back by who calls.
   * @throws LlqError `bad-input` for numbers in the file that do not fit each other
   */
  decode(reader: Reader, coding: C, rows: Rows): void;
  /**
   * Some rows of a weight, all of one matrix, as they are stored: unlike rows of what is decoded first, GGUF may have blocks
   * for them.
   */
  rowsOf?(base: TensorSource, first: number, rows: number): TensorSource;
}

/**
 * A format that checkpoints have packed weights in. One file: how config.json and the tensors' names tell of it, where
 * its numbers are, how rows are decoded. A row in index.ts, and nothing else knows of it.
 * @template S what it reads of quantization_config
 */
export interface Packing<C extends Coding = Coding, S = unknown> extends Decoder<C> {
  /** As people call it. */
  readonly title: string;
  /** What quantization_config has as its quant_method. */
  readonly methods: readonly string[];
  /** Its tensors show what they are, with any quant_method and without: S is undefined where config.json says nothing, and
   * empty where it speaks of others. */
  readonly untold?: true;
  /** The fields of quantization_config that it reads, once for all weights; what differs by module is its own affair. */
  readonly fields: v.GenericSchema<unknown, S>;
  /** The name of the weight that a stored tensor holds; undefined when it is none of this format. */
  weightOf(name: string, raw: RawSource, parts: Parts): string | undefined;
  /**
   * Where the weight's numbers are; takes what belongs to it from the checkpoint's tensors. Reads no weights.
   * @throws LlqError `unsupported` for variants that are not decoded, `bad-input` for parts that are missing or do not fit
   */
  locate(parts: Parts, name: string, raw: RawSource, settings: S): TensorSource;
  /** What a weight is stored as, in a word. */
  typeOf(coding: C): string;
  /** Rows of the weight are columns in the file: many are read as fast as one. */
  readonly across: boolean;
}
