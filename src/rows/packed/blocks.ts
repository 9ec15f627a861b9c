import type { TensorSource } from "../../../formats/container.js";
import type { TernaryCoding } from "./bitnet.js";
import type { Fp4Coding } from "./fp4.js";
import { asFp4Blocks, fp4Blocks } from "./fp4-blocks.js";
import { asTq2Blocks, tq2Blocks } from "./tq2-blocks.js";

// Packed weights that GGUF has blocks for: the same numbers, bytes and halves of bytes in another order. What a matrix as
// a whole is multiplied by, blocks have no place for.

/** Stored numbers, one for all or one for each stacked matrix; or what they divide. */
export interface Factor {
  readonly source: TensorSource;
  readonly divides: boolean;
  /** What the numbers are divided by first. */
  readonly over?: number | undefined;
}

/** A packed weight as blocks of GGUF's. */
export interface Blocks {
  readonly source: TensorSource;
  readonly factor?: Factor | undefined;
  /** A scale for what runs through, which changes no weight. */
  readonly inputs?: Factor | undefined;
  /** What runs through is to stay in 16 bits. */
  readonly wideInputs?: true | undefined;
}

export const BLOCK_DECODERS = [fp4Blocks, tq2Blocks] as const;

const KINDS: ReadonlySet<string> = new Set(BLOCK_DECODERS.map(({ kind }) => kind));

/** Whether a source is decoded to such blocks. */
export function isOfBlocks({ coded }: Pick<TensorSource, "coded">): boolean {
  return coded !== undefined && KINDS.has(coded.kind);
}

/** A packed weight as blocks; undefined for other weights, and where its rows are no whole number of blocks. */
export function asBlocks(source: TensorSource): Blocks | undefined {
  const four = asFp4Blocks(source);
  if (four !== undefined) {
    const { factor, over, divisor, inputs, wideInputs } = source.coded as Fp4Coding;
    const divides = divisor !== undefined;
    const whole = divisor ?? factor;
    return {
      source: four,
      factor: whole && { source: whole, divides, over },
      inputs: inputs && { source: inputs, divides },
      wideInputs,
    };
  }
  const ternary = asTq2Blocks(source);
  if (ternary === undefined) return undefined;
  const { scale, multiplies } = source.coded as TernaryCoding;
  return { source: ternary, factor: { source: scale, divides: !multiplies } };
}
