import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { KeyReader } from "./keys.js";
import type { LayerNumbers } from "./layers.js";

/** Of attention whose keys and values come from a few numbers a token (multi-head latent attention); all 0 without. */
export interface LatentNumbers {
  /** What queries, and keys and values, are made of; 0 where queries are made of the hidden state. */
  readonly queryRank: number;
  readonly rank: number;
  /** What makes keys and values is one matrix, as in files from before llama.cpp cut it. */
  readonly isWhole: boolean;
  /** Width of a query or key head, and of a value head, once they are made. */
  readonly keyLength: number;
  readonly valueLength: number;
  /** Of an index that chooses so many keys for a query; 0 without. */
  readonly indexerHeads: number;
  readonly indexerKeyLength: number;
  readonly indexerTopK: number;
  /** Layers that have one of their own; undefined where the file does not say. */
  readonly indexed: readonly boolean[] | undefined;
}

/** @throws LlqError `bad-input` where widths do not fit each other */
export function readLatent(
  keys: KeyReader,
  architecture: string,
  {
    ropeDimensionCount: rotary,
    blockCount,
    ...widths
  }: Pick<LayerNumbers, "ropeDimensionCount" | "keyLength" | "headCount"> & {
    readonly blockCount: number;
    readonly embeddingLength: number;
  },
): LatentNumbers {
  const count = (key: string) => keys.count(`${architecture}.attention.${key}`, 0);
  const rank = count("kv_lora_rank");
  const isWhole = rank > 0 && count("key_length_mla") === 0;
  const keyLength = isWhole ? widths.keyLength : count("key_length_mla");
  if (rank > 0 && keyLength <= rotary) {
    throw badInput(t`${keys.name}: RoPE over ${rotary} of ${keyLength} dimensions leaves none to the latent`);
  }
  return {
    queryRank: count("q_lora_rank"),
    rank,
    isWhole,
    keyLength,
    valueLength: isWhole ? wholeValueLength(keys, architecture, widths) : count("value_length_mla"),
    indexerHeads: count("indexer.head_count"),
    indexerKeyLength: count("indexer.key_length"),
    indexerTopK: count("indexer.top_k"),
    indexed: keys.flags(`${architecture}.attention.indexer.types`, blockCount),
  };
}

/** Where files of one matrix say nothing, they mean as much of the hidden state as there are heads. */
function wholeValueLength(
  keys: KeyReader,
  architecture: string,
  { embeddingLength, headCount }: { readonly embeddingLength: number; readonly headCount: number },
): number {
  const usual = embeddingLength / headCount;
  return keys.count(`${architecture}.attention.value_length`, Number.isInteger(usual) ? usual : undefined);
}
