import type { HParams } from "../../arch/hparams.js";
import { mixersOf } from "../../arch/traits.js";
import { t } from "../../language/t.js";
import type { Amount, Described } from "./amount.js";

/** The floats that a layer of a kind keeps, however long the context is. */
const FLOATS: Readonly<Record<string, (hparams: HParams) => Kept>> = {
  // Channels × (state and what the convolution still sees).
  mamba: ({ ssm: { innerSize, stateSize, convKernel } }) => ({
    floats: innerSize * (stateSize + convKernel - 1),
    formula: t`${innerSize} channels × (${stateSize} + ${convKernel - 1})`,
  }),
  // Channels × state, and what the convolution still sees of channels, inputs and outputs.
  mamba2: ({ ssm: { innerSize, stateSize, groupCount, convKernel } }) => {
    const channels = innerSize + 2 * groupCount * stateSize;
    return {
      floats: innerSize * stateSize + channels * (convKernel - 1),
      formula: t`(${innerSize} × ${stateSize} + ${channels} channels × ${convKernel - 1})`,
    };
  },
  // Of value heads keys × values, and what the convolution still sees of queries, keys and values.
  "delta-net": ({ ssm: { innerSize, stateSize, groupCount, convKernel } }) => {
    const channels = 2 * groupCount * stateSize + innerSize;
    return {
      floats: innerSize * stateSize + channels * (convKernel - 1),
      formula: t`(${innerSize} × ${stateSize} + ${channels} channels × ${convKernel - 1})`,
    };
  },
  // Of heads keys × values, and what the convolutions still see of queries, keys and values.
  kda: ({ ssm: { innerSize, stateSize, convKernel } }) => ({
    floats: innerSize * (stateSize + 3 * (convKernel - 1)),
    formula: t`${innerSize} channels × (${stateSize} + 3 × ${convKernel - 1})`,
  }),
  "short-conv": ({ embeddingLength, ssm: { convKernel } }) => ({
    floats: embeddingLength * (convKernel - 1),
    formula: t`${embeddingLength} channels × ${convKernel - 1}`,
  }),
};

interface Kept {
  readonly floats: number;
  readonly formula: string;
}

/** What recurrent layers keep, in f32. */
export function recurrentStates({ architecture, hparams }: Described): Amount {
  const layers = new Map<string, number>();
  for (const mixer of architecture.decoder(hparams).layers.flatMap(mixersOf)) {
    if (mixer.kind in FLOATS) layers.set(mixer.kind, (layers.get(mixer.kind) ?? 0) + 1);
  }
  const kept = Array.from(layers, ([kind, count]) => ({ count, ...FLOATS[kind]!(hparams) }));
  return {
    bytes: kept.reduce((sum, { count, floats }) => sum + 4 * count * floats, 0),
    formula: kept
      .map(({ count, formula }) => t`${count} layers × ${formula} × 4 bytes, for any context`)
      .join(" + "),
  };
}
