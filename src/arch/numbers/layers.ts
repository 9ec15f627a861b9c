import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { KeyReader } from "./keys.js";

/** What may be another number in each layer. */
export interface LayerNumbers {
  /** 0 in layers without attention. */
  readonly headCount: number;
  readonly headCountKv: number;
  /** Width of a query or key head. */
  readonly keyLength: number;
  /** Width of a value head. */
  readonly valueLength: number;
  /** Leading dimensions of a head that RoPE turns. */
  readonly ropeDimensionCount: number;
  /** 0 in layers without a feed-forward. */
  readonly feedForwardLength: number;
  /** Whether queries see a window only; undefined where the file does not say. */
  readonly hasWindow: boolean | undefined;
  /** Whether RoPE turns queries and keys; undefined where the file does not say. */
  readonly hasRope: boolean | undefined;
  /** The layer whose keys and values it sees; undefined where it has its own. */
  readonly keysOf: number | undefined;
}

const MAX_HEADS = 2 ** 16;

/**
 * Reads what `<architecture>.*` says of each layer, in one number or in one for each; `common` has the largest of them,
 * and widths as they are outside of windows.
 * @throws LlqError `bad-input` for numbers that do not fit each other
 */
export function readLayers(
  keys: KeyReader,
  architecture: string,
  { blockCount, embeddingLength }: { readonly blockCount: number; readonly embeddingLength: number },
): { readonly common: LayerNumbers; readonly layers: LayerNumbers[] } {
  const of = (key: string, fallback?: number) => keys.counts(`${architecture}.${key}`, blockCount, fallback);
  const one = (key: string, fallback?: number) => keys.count(`${architecture}.${key}`, fallback);
  // State space models have no heads, and may have no feed-forward.
  const least = keys.metadata.has(`${architecture}.ssm.state_size`) ? 0 : undefined;
  const heads = of("attention.head_count", least);
  const most = Math.max(...heads);
  if (most > MAX_HEADS) throw badInput(t`${keys.name}: ${most} heads, more than any model has`);
  const kv = keys.metadata.has(`${architecture}.attention.head_count_kv`)
    ? of("attention.head_count_kv", 0)
    : heads;
  const mostKv = Math.max(...kv);
  if (most > 0 && mostKv === 0) throw badInput(t`${keys.name}: ${most} heads, and none of keys and values`);
  const saysWidth = keys.metadata.has(`${architecture}.attention.key_length`);
  if (most > 0 && embeddingLength % most !== 0 && !saysWidth) {
    throw badInput(t`${keys.name}: ${embeddingLength} columns do not divide into ${most} heads`);
  }
  const keyLength = one("attention.key_length", most > 0 ? embeddingLength / most : 0);
  const valueLength = one("attention.value_length", keyLength);
  const ropeDimensionCount = one("rope.dimension_count", keyLength);
  const usual = { keyLength, valueLength, ropeDimensionCount };
  const inWindow = {
    keyLength: one("attention.key_length_swa", keyLength),
    valueLength: one("attention.value_length_swa", valueLength),
    ropeDimensionCount: one("rope.dimension_count_swa", ropeDimensionCount),
  };
  for (const { keyLength: width, ropeDimensionCount: turned } of [usual, inWindow]) {
    if (turned % 2 !== 0 || turned > width) {
      throw badInput(t`${keys.name}: RoPE over ${turned} of ${width} dimensions`);
    }
  }
  // Where all layers have experts, only their width may be said.
  const hasExperts = keys.metadata.has(`${architecture}.expert_feed_forward_length`);
  const feedForward = of("feed_forward_length", hasExperts ? 0 : least);
  const windows = readWindows(keys, `${architecture}.attention.sliding_window_pattern`, blockCount);
  const ropes = keys.flags(`${architecture}.attention.rope_pattern`, blockCount);
  const sources = readSources(keys, architecture, windows, blockCount);
  const layers = heads.map((headCount, i): LayerNumbers => {
    const headCountKv = kv[i]!;
    if (headCountKv > 0 && headCount % headCountKv !== 0) {
      throw badInput(t`${keys.name}: ${headCount} heads cannot share ${headCountKv} key/value heads evenly`);
    }
    const hasWindow = windows?.[i];
    const widths = hasWindow === true ? inWindow : usual;
    const says = { hasWindow, hasRope: ropes?.[i], keysOf: sources[i] };
    return { headCount, headCountKv, ...widths, feedForwardLength: feedForward[i]!, ...says };
  });
  const common = {
    ...{ headCount: most, headCountKv: mostKv, ...usual },
    feedForwardLength: Math.max(...feedForward),
    ...{ hasWindow: undefined, hasRope: undefined, keysOf: undefined },
  };
  return { common, layers };
}

/**
 * Of each layer the one whose keys and values it sees: of the last `attention.shared_kv_layers` the last before these that
 * has a window as it has, or none.
 */
function readSources(
  keys: KeyReader,
  architecture: string,
  windows: readonly boolean[] | undefined,
  blockCount: number,
): (number | undefined)[] {
  const key = `${architecture}.attention.shared_kv_layers`;
  const first = blockCount - keys.count(key, 0);
  return Array.from({ length: blockCount }, (_, layer) => {
    if (layer < first) return undefined;
    for (let source = first - 1; source >= 0; source--) {
      if (windows?.[source] === windows?.[layer]) return source;
    }
    throw badInput(t`${keys.name}: ${key} leaves layer ${layer} no keys and values to see`);
  });
}

/** Files say it as a flag for each layer, or as a number: of so many layers the last has no window. */
function readWindows(keys: KeyReader, key: string, blockCount: number): boolean[] | undefined {
  const flags = keys.flags(key, blockCount);
  if (flags !== undefined) return flags;
  const period = keys.optional(key);
  if (period === undefined) return undefined;
  return Array.from({ length: blockCount }, (_, i) => i % period !== period - 1);
}
