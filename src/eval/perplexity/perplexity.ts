import { compareBytes } from "#host/bytes";
import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { type Activations, DEFAULT_ACTIVATIONS } from "../../net/products/matmul.js";
import type { MeasureOptions } from "../../net/session.js";
import { type Baseline, createBaseline } from "../divergence/baseline.js";
import type { Keep } from "../divergence/keep.js";
import type { Divergence } from "../divergence/kld.js";
import { cutChunks } from "./chunks.js";
import { scoreChunks } from "./forward.js";
import { chooseProtocol, type Protocol, type ProtocolOptions } from "./protocol.js";
import { looksAt, spreadOrder } from "./sequential.js";
import { type ChunkMeans, Tally } from "./tally.js";

export interface PerplexityOptions extends ProtocolOptions, Omit<MeasureOptions, "onProgress"> {
  /** Chunks to evaluate, from the start of the text. Default: all. */
  readonly chunks?: number | undefined;
  /** What to compare with: another model, or what a baseline file says of the same text. */
  readonly base?: Model | Baseline | undefined;
  /** Where to write a baseline, what of each distribution, and whether to replace a file that exists. */
  readonly save?:
    | { readonly path: string; readonly keep: Keep; readonly force?: boolean | undefined }
    | undefined;
  /**
   * Asked at a quarter, half and three quarters of the chunks, which are then taken from all over the text: whether
   * the rest can be left out. `look` counts from 1.
   */
  readonly isEnough?: ((chunks: readonly ChunkMeans[], look: number) => boolean) | undefined;
  readonly onProgress?: ((progress: PerplexityProgress) => void) | undefined;
}

export interface PerplexityProgress {
  /** Multiply-adds done, and all there are to do. */
  readonly done: number;
  readonly total: number;
  readonly tokensPerSecond: number;
  /** Perplexity after each chunk, as far as chunks are finished in order. */
  readonly running: readonly number[];
}

export interface Perplexity {
  /** e^nll */
  readonly ppl: number;
  /** Standard error of `ppl`, scored tokens taken as independent. */
  readonly error: number;
  /** Mean of -ln p(token | the tokens before it in its chunk) over the scored tokens. */
  readonly nll: number;
  /** Scored tokens. */
  readonly count: number;
  readonly protocol: Protocol;
  /** What met quantized weights. */
  readonly activations: Activations;
  /** Perplexity after each chunk, in the order they were evaluated. */
  readonly running: readonly number[];
  /** Each chunk for itself, in the same order. */
  readonly chunkMeans: readonly ChunkMeans[];
  /** Chunks that the text has; fewer were evaluated when that was enough. */
  readonly chunksOfText: number;
  /** Where there is a base. */
  readonly divergence: Divergence | undefined;
  readonly seconds: number;
  /** Tokens evaluated, scored or not, a second. */
  readonly tokensPerSecond: number;
}

/**
 * Perplexity of a text, and how far the model is from a base. See chooseProtocol for what is scored.
 * @param tokens the whole text, beginning with bos if the model wants one; a baseline has its own
 * @throws LlqError `bad-input` for a text of fewer than two chunks, tokens beyond the vocabulary, a base of another
 * text or vocabulary, or weights that give no number; `usage` for a context too short to score anything
 */
export async function evaluatePerplexity(
  model: Model,
  tokens: Int32Array | undefined,
  options: PerplexityOptions = {},
): Promise<Perplexity> {
  const started = performance.now();
  const {
    activations = DEFAULT_ACTIVATIONS,
    fast,
    threads,
    maxMemory,
    signal,
    onProgress,
    base,
    save,
    isEnough,
  } = options;
  const { baseline, protocol, chunks } = planPerplexity(model, tokens, options);
  const order = isEnough === undefined ? chunks.map((_, i) => i) : spreadOrder(chunks.length);
  const looks = isEnough === undefined ? [] : looksAt(chunks.length);
  const tally = new Tally(model.path, order);
  const { vocabSize } = model.hparams;
  const keep = save && fitKeep(save.keep, vocabSize);
  const writer =
    save && createBaseline(save, { model: model.path, vocabSize, protocol, keep: keep! }, chunks);
  const seconds = () => (performance.now() - started) / 1000;
  const tokensIn = (count: number) => count * protocol.context;
  try {
    await scoreChunks(
      model,
      order.map((i) => chunks[i]!),
      {
        firstPosition: protocol.firstPosition,
        activations,
        fast,
        threads,
        maxMemory,
        signal,
        base: baseline === undefined ? (base as Model | undefined) : reorder(baseline, order),
        keep,
        looks: looks.map((look) => look.chunks),
        isEnough: (done) => {
          const look = looks.find(({ chunks }) => chunks === done);
          return look !== undefined && isEnough!(tally.means, look.look);
        },
        onChunk: (chunk, scores) => {
          tally.add(chunk, scores);
          if (scores.record !== undefined) writer?.add(chunk, scores.record);
        },
        onProgress: (done, all) => {
          const tokensPerSecond = ((done / all) * tokensIn(chunks.length)) / seconds();
          onProgress?.({ done, total: all, tokensPerSecond, running: tally.running });
        },
      },
    );
    writer?.finish();
  } finally {
    writer?.close();
  }
  return {
    ...tally.result(),
    protocol,
    activations,
    chunksOfText: chunks.length,
    seconds: seconds(),
    tokensPerSecond: tokensIn(tally.means.length) / seconds(),
  };
}

/** What will be scored, and how. @throws LlqError as evaluatePerplexity */
export function planPerplexity(
  model: Model,
  tokens: Int32Array | undefined,
  options: ProtocolOptions & Pick<PerplexityOptions, "base" | "chunks">,
) {
  const { base } = options;
  const baseline = base !== undefined && "protocol" in base ? base : undefined;
  const protocol = baseline?.protocol ?? chooseProtocol(options);
  const chunks = chunksOf(model, tokens, protocol, options);
  checkVocabulary(model, base);
  return { baseline, protocol, chunks };
}

/** The chunks to evaluate: those of the text, which must be those of the baseline if there is one. */
function chunksOf(
  model: Model,
  tokens: Int32Array | undefined,
  protocol: Protocol,
  { base, chunks: most }: Pick<PerplexityOptions, "base" | "chunks">,
): readonly Int32Array[] {
  const { context, stride, bos } = protocol;
  const own = tokens && cutChunks(model, tokens, { context, stride, bos, chunks: most });
  if (base === undefined || !("protocol" in base)) {
    if (own !== undefined) return own;
    throw new LlqError("usage", t`no text to evaluate`, { hint: t`only a baseline has its own` });
  }
  const chunks = base.chunks.slice(0, most);
  const differs = chunks.findIndex((chunk, i) => own !== undefined && !isSame(chunk, own[i]));
  if (differs < 0) return chunks;
  throw badInput(
    t`${base.path}: chunk ${differs + 1} has not the text's tokens`,
    t`the baseline was made of another text, by another tokenizer or another protocol`,
  );
}

function isSame(a: Int32Array, b: Int32Array | undefined): boolean {
  return b !== undefined && compareBytes(bytesOf(a), bytesOf(b)) === 0;
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** @throws LlqError `bad-input` when they have vocabularies of different sizes */
export function checkVocabulary({ path, hparams }: Model, base: Model | Baseline | undefined): void {
  if (base === undefined) return;
  const size = "protocol" in base ? base.base.vocabSize : base.hparams.vocabSize;
  if (size === hparams.vocabSize) return;
  throw badInput(t`${path} has a vocabulary of ${hparams.vocabSize}, ${base.path} one of ${size}`);
}

function fitKeep(keep: Keep, vocabSize: number): Keep {
  return keep.form === "top" ? { ...keep, k: Math.min(keep.k, vocabSize) } : keep;
}

export function reorder({ base }: Baseline, order: readonly number[]): Baseline["base"] {
  return { ...base, records: order.map((i) => base.records[i]!) };
}
