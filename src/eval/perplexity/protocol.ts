import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";

/** How a text becomes chunks, and which of their tokens count. Numbers by different protocols do not compare. */
export interface Protocol {
  readonly name: ProtocolName;
  /** Tokens in a chunk. */
  readonly context: number;
  /** Tokens from the start of a chunk to the start of the next, where chunks overlap. */
  readonly stride?: number | undefined;
  /** In each chunk, the first position whose next token is scored; the last one is context - 2. */
  readonly firstPosition: number;
  /** The token that takes the place of the first of each chunk, if any does. */
  readonly bos?: number | undefined;
}

export const PROTOCOL_NAMES = ["llama-perplexity", "llama-perplexity --ppl-stride", "full window"] as const;
export type ProtocolName = (typeof PROTOCOL_NAMES)[number];

export const DEFAULT_CONTEXT = 512;
/** So that a chunk has a token to score. */
const MIN_CONTEXT = 3;

export interface ProtocolOptions {
  /** Tokens in a chunk. Default 512. */
  readonly context?: number | undefined;
  /** The token that begins the model's texts, if one does. */
  readonly bos?: number | undefined;
  /** Tokens from a chunk to the next, all of which are scored: the protocol of llama-perplexity --ppl-stride. */
  readonly stride?: number | undefined;
  /** All tokens but a chunk's first are scored: the protocol of the papers on quantization. */
  readonly fullWindow?: boolean | undefined;
}

/**
 * - llama-perplexity: chunks do not overlap, begin with bos, and the second half of each is scored.
 * - llama-perplexity --ppl-stride: chunks are stride / 2 longer than the context, begin `stride` tokens apart, and
 *   the last `stride` tokens of each are scored. They do not begin with bos: llama-perplexity sets it only after
 *   the tokens were taken. (llama-perplexity makes longer chunks of a --batch-size above their length, and
 *   rounds their length up to a multiple of 32.)
 * - full window: chunks do not overlap, stay as they are, and every token that has one before it is scored.
 *
 * @throws LlqError `usage` for a context that leaves nothing to score
 */
export function chooseProtocol({
  context = DEFAULT_CONTEXT,
  bos,
  stride,
  fullWindow,
}: ProtocolOptions): Protocol {
  if (context < MIN_CONTEXT) {
    throw new LlqError("usage", t`a context of ${context} tokens leaves none to score`, {
      hint: t`at least ${MIN_CONTEXT} are needed, ${DEFAULT_CONTEXT} are usual`,
    });
  }
  if (stride !== undefined) {
    const length = context + Math.floor(stride / 2);
    const firstPosition = length - stride - 1;
    if (firstPosition < 0) {
      throw new LlqError(
        "usage",
        t`a stride of ${stride} needs a context of at least ${Math.ceil(stride / 2) + 1}`,
      );
    }
    return { name: "llama-perplexity --ppl-stride", context: length, stride, firstPosition };
  }
  if (fullWindow) return { name: "full window", context, firstPosition: 0 };
  return { name: "llama-perplexity", context, firstPosition: Math.floor(context / 2), bos };
}

/** Tokens scored in each chunk. */
export function scoredTokens({ context, firstPosition }: Protocol): number {
  return context - 1 - firstPosition;
}
