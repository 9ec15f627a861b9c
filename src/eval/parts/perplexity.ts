import * as v from "valibot";
import type { Model } from "../../model.js";
import { DEFAULT_ACTIVATIONS } from "../../net/products/matmul.js";
import type { PartSummary } from "../../run/parts/do-part.js";
import { whole } from "../../run/parts/frames.js";
import { contentIdentity } from "../../run/parts/identity.js";
import { aboutOf, executeItems, floatBytes, floats, resultsOf } from "../../run/parts/items.js";
import type { Part } from "../../run/parts/part.js";
import { type FoundRecord, secondsOf } from "../../run/parts/record.js";
import { hashWork } from "../imatrix/checkpoint.js";
import { type ChunkScores, scoreChunks } from "../perplexity/forward.js";
import {
  type Perplexity,
  type PerplexityOptions,
  planPerplexity,
  reorder,
} from "../perplexity/perplexity.js";
import { PROTOCOL_NAMES } from "../perplexity/protocol.js";
import { Tally } from "../perplexity/tally.js";

export const PERPLEXITY_KIND = "eval-ppl";

const about = v.object({
  model: v.string(),
  text: v.optional(v.nullable(v.string())),
  base: v.optional(v.nullable(v.string())),
  protocol: v.object({
    name: v.picklist(PROTOCOL_NAMES),
    context: whole,
    stride: v.nullish(whole),
    firstPosition: whole,
    bos: v.nullish(whole),
  }),
  activations: v.picklist(["int8", "f32"]),
});

/** What is noted of a chunk: its scored tokens, one by one. */
const chunkResult = v.object({
  nll: floats,
  base: v.optional(v.object({ nll: floats, kld: floats, sameTop: v.instance(Uint8Array) })),
});

export interface PerplexityPartOptions extends Omit<PerplexityOptions, "save" | "isEnough" | "onProgress"> {
  /** The text's file, for people. */
  readonly text?: string | undefined;
  /** Called with multiply-adds done, and all there are. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * A part of what evaluatePerplexity does: some of the chunks, whose scored tokens are noted one by one.
 * @param output what all parts together are called
 * @throws LlqError as evaluatePerplexity and executeItems
 */
export async function evaluatePerplexityPart(
  output: string,
  part: Part,
  model: Model,
  tokens: Int32Array | undefined,
  options: PerplexityPartOptions = {},
): Promise<PartSummary> {
  const { activations = DEFAULT_ACTIVATIONS, threads, maxMemory, signal, onProgress, base, text } = options;
  const { baseline, protocol, chunks } = planPerplexity(model, tokens, options);
  const hash = hashWork(model, chunks, contentIdentity).update(JSON.stringify([protocol, activations]));
  if (baseline !== undefined) hash.update(contentIdentity(baseline.path));
  else if (base !== undefined) hash.update(hashWork(base as Model, [], contentIdentity).digest());
  const work = {
    kind: PERPLEXITY_KIND,
    fingerprint: hash.digest("hex"),
    about: { model: model.path, text, base: base?.path, protocol, activations },
    works: chunks.map(() => 1),
  };
  const { firstPosition } = protocol;
  return executeItems(output, part, work, {
    ...{ inputs: model.container.files, force: true, signal },
    run: (items, note) =>
      scoreChunks(
        model,
        items.map((item) => chunks[item]!),
        {
          ...{ firstPosition, activations, threads, maxMemory, signal, onProgress },
          base: baseline === undefined ? (base as Model | undefined) : reorder(baseline, items),
          onChunk: (at, scores) => note(items[at]!, toResult(scores)),
        },
      ),
  });
}

function toResult({ nll, base }: ChunkScores) {
  if (base === undefined) return { nll: floatBytes(nll) };
  return {
    nll: floatBytes(nll),
    base: { nll: floatBytes(base.nll), kld: floatBytes(base.kld), sameTop: base.sameTop.slice() },
  };
}

export interface FinishedPerplexity {
  readonly model: string;
  readonly text: string | undefined;
  readonly base: string | undefined;
  readonly result: Perplexity;
}

/** What one run says of all chunks, to the last digit. @throws LlqError `bad-input` for records that do not make it up */
export function finishPerplexity(records: readonly FoundRecord[]): FinishedPerplexity {
  const { items, protocol, activations, model, text, base } = aboutOf(records, about);
  const order = Array.from({ length: items }, (_, i) => i);
  const tally = new Tally(model, order);
  for (const [chunk, { nll, base }] of resultsOf(records, items, chunkResult)) {
    tally.add(chunk, { nll, base });
  }
  const seconds = secondsOf(records);
  return {
    model,
    text: text ?? undefined,
    base: base ?? undefined,
    result: {
      ...tally.result(),
      protocol: { ...protocol, stride: protocol.stride ?? undefined, bos: protocol.bos ?? undefined },
      activations,
      chunksOfText: items,
      seconds,
      tokensPerSecond: (items * protocol.context) / seconds,
    },
  };
}
