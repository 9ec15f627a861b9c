import type { Model } from "../model.js";
import type { Activations } from "../net/products/matmul.js";
import type { KvType } from "../quant/fit/memory.js";
import type { Recipe } from "../quant/recipes/recipes.js";

/** A model ready to run. */
export interface Engine {
  readonly vocabSize: number;
  /** Tokens that a sequence can hold. */
  readonly context: number;
  /** How many at once. */
  readonly sequences: number;
  /** Tokens of a prompt that are fed at a time. A model may need to have all of it together. */
  readonly piece: number;
  /** Starts a sequence. */
  open(): Sequence;
  /**
   * One step for several sequences at once, each with its next tokens (usually one).
   * @returns logits after the last token of each, [vocabSize]
   */
  step(feeds: readonly Feed[]): Promise<Float32Array[]>;
  close(): Promise<void>;
}

export interface Feed {
  readonly sequence: Sequence;
  /** At least one. */
  readonly tokens: Int32Array;
}

export interface Sequence {
  /** Tokens it holds. */
  readonly length: number;
  /** Forgets all but the first tokens; false: cannot, start again. */
  truncate(length: number): boolean;
  /** Holds what another one of the engine holds, instead of its own. */
  copyFrom(other: Sequence): void;
  close(): void;
}

export interface EngineOptions {
  /** Tokens that a sequence can hold. */
  readonly context: number;
  /** How many at once. Default: 1. */
  readonly sequences?: number | undefined;
  /** What keys and values are kept in. */
  readonly kvType?: KvType | undefined;
  readonly activations?: Activations | undefined;
  /** Quantizes a model of floats on the way in. */
  readonly recipe?: Recipe | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of weights loaded, and all there are. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called where memory may become short. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

export type LoadEngine = (model: Model, options: EngineOptions) => Promise<Engine>;
