import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import type { ImatrixEntry, ImatrixSums } from "../../../formats/imatrix/imatrix.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { type InputPlan, squaresLength } from "../../net/inputs.js";
import { DEFAULT_ACTIVATIONS } from "../../net/products/matmul.js";
import type { LayerSquares } from "../../net/squares.js";
import type { PartSummary } from "../../run/parts/do-part.js";
import { whole } from "../../run/parts/frames.js";
import { contentIdentity } from "../../run/parts/identity.js";
import { aboutOf, executeItems, floatBytes, floats, resultsOf } from "../../run/parts/items.js";
import type { Part } from "../../run/parts/part.js";
import type { FoundRecord } from "../../run/parts/record.js";
import { hashWork } from "../imatrix/checkpoint.js";
import { collectSquares } from "../imatrix/collect.js";
import {
  DEFAULT_CONTEXT,
  hasOutput,
  type ImatrixOptions,
  inputsOfModel,
  tokensFrom,
} from "../imatrix/imatrix.js";
import { formOf, type ImatrixForm } from "../imatrix/imatrix-file.js";
import { entryOf } from "../imatrix/totals.js";
import { cutChunks } from "../perplexity/chunks.js";

export const IMATRIX_KIND = "imatrix";

const about = v.object({
  model: v.string(),
  dataset: v.string(),
  context: whole,
  form: v.picklist(["gguf", "dat"]),
  /** What goes into matrices, in the order of a chunk's sums. */
  inputs: v.array(v.object({ matrices: v.array(v.string()), columns: whole, experts: whole })),
});
type About = v.InferOutput<typeof about>;
/** The sums of a chunk, of every input, one after the other. */
const chunkResult = v.object({ sums: floats });

export interface ImatrixPartOptions extends Omit<ImatrixOptions, "checkpoint" | "resume" | "onProgress"> {
  /** The text's file. */
  readonly dataset: string;
  /** What finishing writes. Default: by the name, as writeImatrix has it. */
  readonly form?: ImatrixForm | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * A part of what computeImatrix does: some of the chunks. Sums in f64 depend on their order, so those of each chunk are noted,
 * and added up by finishImatrix as one run does.
 * @throws LlqError as computeImatrix and executeItems
 */
export async function computeImatrixPart(
  output: string,
  part: Part,
  model: Model,
  tokens: Int32Array,
  options: ImatrixPartOptions,
): Promise<PartSummary> {
  const { context = DEFAULT_CONTEXT, bos, dataset, activations = DEFAULT_ACTIVATIONS } = options;
  const { threads, maxMemory, signal, onProgress, form = formOf(output) } = options;
  const chunks = cutChunks(model, tokensFrom(tokens, options), { context, chunks: options.chunks, bos });
  const withOutput = options.output === true && hasOutput(model);
  const inputs = inputsOfModel(model, withOutput);
  const work = {
    kind: IMATRIX_KIND,
    fingerprint: hashWork(model, chunks, contentIdentity)
      .update(JSON.stringify([activations, withOutput, form]))
      .digest("hex"),
    about: {
      ...{ model: model.path, dataset, context, form },
      inputs: inputs.flatMap((each) =>
        [...each.values()].map(({ matrices, columns, experts }) => ({
          matrices: matrices.map(({ weight }) => weight.name),
          ...{ columns, experts },
        })),
      ),
    } satisfies About,
    works: chunks.map(() => 1),
  };
  return executeItems(output, part, work, {
    ...{ inputs: [...model.container.files, dataset], signal },
    run: async (items, note) => {
      const joined = new Joined(inputs, (at, sums) => note(items[at]!, { sums: floatBytes(sums) }));
      const own = items.map((item) => chunks[item]!);
      await collectSquares(model, own, {
        ...{ activations, threads, maxMemory, signal, onProgress, firstChunk: 0, onGroup: () => {} },
        output: withOutput,
        onLayer: (layer, chunk, count, squares) => joined.add(layer, chunk, count, squares),
      });
    },
  });
}

/** The sums of a chunk, whose layers come in any order. */
interface Waiting {
  readonly sums: Float64Array;
  layers: number;
}

/** Puts the layers of each chunk together, and hands over chunk after chunk. */
class Joined {
  /** Where the sums of each layer's inputs stand. */
  readonly #places: readonly ReadonlyMap<string, number>[];
  readonly #length: number;
  readonly #onChunk: (chunk: number, sums: Float64Array) => void;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;

  constructor(
    layers: readonly ReadonlyMap<string, InputPlan>[],
    onChunk: (chunk: number, sums: Float64Array) => void,
  ) {
    let length = 0;
    this.#places = layers.map(
      (inputs) =>
        new Map(
          [...inputs].map(([input, plan]) => {
            length += squaresLength(plan);
            return [input, length - squaresLength(plan)];
          }),
        ),
    );
    this.#length = length;
    this.#onChunk = onChunk;
  }

  /** @param squares of `count` chunks, the first of which is `first` */
  add(layer: number, first: number, count: number, squares: LayerSquares): void {
    for (let i = 0; i < count; i++) {
      const chunk = this.#waiting.get(first + i) ?? { sums: new Float64Array(this.#length), layers: 0 };
      for (const [input, all] of squares) {
        const length = all.length / count;
        chunk.sums.set(all.subarray(i * length, (i + 1) * length), this.#places[layer]!.get(input)!);
      }
      chunk.layers++;
      this.#waiting.set(first + i, chunk);
    }
    for (;;) {
      const chunk = this.#waiting.get(this.#next);
      if (chunk?.layers !== this.#places.length) return;
      this.#onChunk(this.#next, chunk.sums);
      this.#waiting.delete(this.#next++);
    }
  }
}

/**
 * The importance matrix of all chunks, with the bits of one run.
 * @throws LlqError `bad-input` for records that do not make it up, or sums that are no finite numbers
 */
export function finishImatrix(
  records: readonly FoundRecord[],
): ImatrixSums & { readonly chunkSize: number; readonly form: ImatrixForm } {
  const { items, model, dataset, context, inputs, form } = aboutOf(records, about);
  const lengths = inputs.map(squaresLength);
  const length = lengths.reduce((sum, each) => sum + each, 0);
  let total = new Float64Array();
  let next = 0;
  for (const [chunk, { sums }] of resultsOf(records, items, chunkResult)) {
    if (chunk !== next++ || sums.length !== length) {
      throw badInput(t`${records[0]!.path}: the sums of chunk ${next} are not where they should be`);
    }
    if (chunk === 0) total = new Float64Array(length); // not before there are as many bytes
    for (let i = 0; i < total.length; i++) total[i]! += sums[i]!;
  }
  if (!total.every((sum) => Number.isFinite(Math.fround(sum)))) {
    const hint = t`weights are damaged, or too large for f32 arithmetic`;
    throw badInput(t`${model}: what goes into some matrix is not finite`, hint);
  }
  const entries = new Map<string, ImatrixEntry>();
  let at = 0;
  for (const [i, input] of inputs.entries()) {
    const entry = entryOf(input, total.subarray(at, at + lengths[i]!), items * context);
    at += lengths[i]!;
    for (const name of input.matrices) entries.set(name, entry);
  }
  return { entries, datasets: [dataset], chunks: items, chunkSize: context, form };
}
