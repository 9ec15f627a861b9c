import { dtype } from "../../../formats/dtype.js";
import { LlqError } from "../../../formats/errors.js";
import type { HParams } from "../../arch/hparams.js";
import { type AttentionTraits, type MixerTraits, mixersOf } from "../../arch/traits.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import type { Amount, Described } from "./amount.js";
import { recurrentStates } from "./recurrent.js";

/** Types that llama.cpp keeps keys and values in. */
export const KV_TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0"] as const;
export type KvType = (typeof KV_TYPES)[number];
const KV_DTYPE = { f32: "F32", f16: "F16", bf16: "BF16", q8_0: "Q8_0", q4_0: "Q4_0" } as const;

/** Tokens that llama.cpp computes at once (--ubatch-size). */
const BATCH = 512;
/** llama.cpp rounds contexts up to a multiple of this many tokens. */
export const CONTEXT_STEP = 256;

/**
 * What a model needs beside its weights, by the reckoning of llama.cpp on a CPU; test/golden/fit has what llama.cpp
 * itself says.
 */
export interface RunMemory {
  readonly kv: Amount;
  readonly compute: Amount;
  readonly overhead: Amount;
}

/** Beside the weights, for a context of so many tokens. */
export function runMemory(model: Described, tokens: number, kvType: KvType): RunMemory {
  const context = roundUp(tokens);
  return {
    kv: kvCache(model, context, kvType),
    compute: computeBuffer(model, context),
    overhead: overhead(model),
  };
}

/** The sum of a run's parts. */
export function runBytes({ kv, compute, overhead }: RunMemory): number {
  return kv.bytes + compute.bytes + overhead.bytes;
}

function roundUp(tokens: number): number {
  return Math.ceil(tokens / CONTEXT_STEP) * CONTEXT_STEP;
}

/**
 * What is kept from token to token, by the layers' kinds.
 * @throws LlqError `usage` when heads do not divide into the type's blocks, which llama.cpp refuses
 */
export function kvCache(model: Described, context: number, kvType: KvType): Amount {
  const kept = [keysAndValues(model, context, kvType), recurrentStates(model)];
  const parts = kept.filter(({ bytes }) => bytes > 0);
  return {
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    formula: parts.map(({ formula }) => formula).join(" + "),
  };
}

/** What a layer keeps of a token: keys and values of heads, or one or the other alone. */
interface Kept {
  readonly window: number | undefined;
  /** Numbers, and how they come about. */
  readonly numbers: number;
  readonly formula: string;
  /** What has to divide into the blocks of the type. */
  readonly widths: readonly number[];
}

/** Of latent attention the latent is kept with the part of a key that RoPE turns, and what an index goes by. */
function keptBy(mixer: MixerTraits | AttentionTraits, { latent, layers }: HParams, layer: number): Kept[] {
  const numbers = layers[layer]!;
  const { headCount, ropeDimensionCount } = numbers;
  const heads = (count: number, key: number, value: number): Kept => ({
    window: "window" in mixer ? mixer.window : undefined,
    numbers: count * (key + value),
    formula: t`${count} KV heads × ${key === value ? `2 × ${key}` : `(${key} + ${value})`}`,
    widths: [key, value],
  });
  switch (mixer.kind) {
    case "attention":
      return [heads(numbers.headCountKv, numbers.keyLength, numbers.valueLength)];
    case "latent-expanded":
      return [heads(headCount, latent.keyLength, latent.valueLength)];
    case "latent": {
      const width = latent.rank + ropeDimensionCount;
      const formula = t`(${latent.rank} of a latent + ${ropeDimensionCount})`;
      const kept = { window: undefined, numbers: width, formula, widths: [width] };
      const { indexerKeyLength: key, indexed } = latent;
      if (key === 0 || indexed?.[layer] === false) return [kept];
      return [kept, { window: undefined, numbers: key, formula: t`${key} of an index`, widths: [key] }];
    }
  }
  return [];
}

/**
 * Keys and values: layers × tokens × KV heads × (key + value width) × bytes of an element, of layers that have the same.
 * Layers with a window keep its tokens and a batch; but where all layers have a window, llama.cpp keeps everything.
 */
function keysAndValues({ architecture, hparams }: Described, context: number, kvType: KvType): Amount {
  const { layers } = architecture.decoder(hparams);
  const kept = layers.flatMap((layer, i) =>
    hparams.layers[i]!.keysOf === undefined
      ? mixersOf(layer).flatMap((mixer) => keptBy(mixer, hparams, i))
      : [],
  );
  const isMixed = kept.some(({ window }) => window === undefined);
  const parts = new Map<string, { layers: number; bytes: number; formula: string }>();
  for (const { window, numbers, widths, formula: ofToken } of kept) {
    const seen = window === undefined || !isMixed ? context : roundUp(window + BATCH);
    const tokens = Math.min(context, seen);
    const perElement = kvElementBytes(kvType, ...widths);
    const formula = t`${tokens} tokens × ${ofToken} × ${perElement} bytes`;
    const { layers } = parts.get(formula) ?? { layers: 0 };
    parts.set(formula, { layers: layers + 1, bytes: tokens * numbers * perElement, formula });
  }
  const all = [...parts.values()];
  return {
    bytes: all.reduce((sum, { layers, bytes }) => sum + layers * bytes, 0),
    formula: all.map(({ layers, formula }) => t`${layers} layers × ${formula}`).join(" + "),
  };
}

/**
 * Bytes of an element of a key or a value, on average over a block.
 * @throws LlqError `usage` when heads do not divide into the type's blocks
 */
export function kvElementBytes(kvType: KvType, ...widths: readonly number[]): number {
  const { name, blockSize, typeSize } = dtype(KV_DTYPE[kvType]);
  const odd = widths.find((length) => length % blockSize !== 0);
  if (odd !== undefined) {
    throw new LlqError("usage", t`heads of ${odd} do not divide into ${name} blocks of ${blockSize}`, {
      hint: t`--kv-type f16`,
    });
  }
  return typeSize / blockSize;
}

/**
 * Intermediate results of a batch, attention without scores in memory (flash attention, llama.cpp's default): the
 * larger of what the output needs (logits, and the state before and after the norm) and what a block does (the
 * feed-forward's products, four times the state), and which tokens see which.
 */
export function computeBuffer(model: Described, context: number): Amount {
  const { vocabSize, embeddingLength: embd } = model.hparams;
  const feedForward = feedForwardProducts(model);
  const elements = Math.max(vocabSize + 2 * embd, feedForward.elements + 4 * embd);
  const batch = Math.min(BATCH, context);
  const seen = model.hparams.headCount === 0 ? 0 : context;
  const largest = `max(${vocabSize} + 2 × ${embd}, ${feedForward.formula} + 4 × ${embd})`;
  return {
    bytes: batch * (4 * elements + 2 * seen),
    formula: t`${batch} tokens × (4 × ${largest}${seen === 0 ? "" : ` + 2 × ${seen}`}) bytes`,
  };
}

/** What a token's way through a feed-forward leaves: gate, up and their product; or up, and that activated. */
function feedForwardProducts({ hparams, tensors }: Described): { elements: number; formula: string } {
  const { expertCount, expertUsedCount: used, embeddingLength: embd } = hparams;
  if (expertCount > 0) {
    const { expertFeedForwardLength: width, sharedExpertFeedForwardLength: shared } = hparams;
    const sharedFormula = shared === 0 ? "" : ` + 3 × ${shared}`;
    return {
      elements: used * (3 * width + 2 * embd) + 3 * shared,
      formula: t`${used} experts × (3 × ${width} + 2 × ${embd})${sharedFormula}`,
    };
  }
  const first = (role: string) => tensors.find((tensor) => tensor.role === role);
  const rows = (role: string) => first(role)?.shape[0] ?? 0;
  const down = first("ffn_down");
  const products = down !== undefined && rows("ffn_gate") + rows("ffn_up") > rowLength(down) ? 3 : 2;
  const width = Math.max(0, ...tensors.map((each) => (each.role === "ffn_down" ? rowLength(each) : 0)));
  return { elements: products * width, formula: `${products} × ${width}` };
}

const PROGRAM = 48 << 20;
const BYTES_PER_TOKEN = 512;

/**
 * The program with its threads, and the vocabulary: llama.cpp takes 10 MiB and some 360 bytes a token. The rest is
 * room for what the other amounts leave out.
 */
export function overhead({ hparams }: Described): Amount {
  const { vocabSize } = hparams;
  return {
    bytes: PROGRAM + BYTES_PER_TOKEN * vocabSize,
    formula: t`${PROGRAM >> 20} MiB + ${BYTES_PER_TOKEN} bytes × ${vocabSize} vocabulary`,
  };
}

/**
 * The most tokens for which `needed` bytes are at most `budget`, in steps of CONTEXT_STEP, up to `most`.
 * Undefined if not even the first step fits.
 */
export function largestContext(
  most: number,
  budget: number,
  needed: (context: number) => number,
): number | undefined {
  if (needed(Math.min(CONTEXT_STEP, most)) > budget) return undefined;
  if (needed(most) <= budget) return most;
  let [fits, fails] = [1, Math.ceil(most / CONTEXT_STEP)];
  while (fails - fits > 1) {
    const middle = Math.floor((fits + fails) / 2);
    if (needed(middle * CONTEXT_STEP) <= budget) fits = middle;
    else fails = middle;
  }
  return fits * CONTEXT_STEP;
}
