import type { DecoderTraits } from "../arch/architecture.js";
import type { HParams } from "../arch/hparams.js";
import type { Model } from "../model.js";
import type { BlockMatrix, Role, Tensor } from "../tensor.js";

/** y = x · weightᵀ + bias */
export interface Linear {
  /** [rows, k] */
  readonly weight: Tensor;
  /** [rows] */
  readonly bias: Tensor | undefined;
}

/** The tensors of one block, by what they do. */
export type LayerPlan = Readonly<Record<BlockMatrix, Linear>> & {
  readonly attn_norm: Tensor;
  readonly ffn_norm: Tensor;
};

/** All that the forward pass needs to know of a model. Plain data. */
export interface DecoderPlan {
  readonly hparams: HParams;
  readonly traits: DecoderTraits;
  readonly token_embd: Tensor;
  readonly rope_freqs: Tensor | undefined;
  readonly layers: readonly LayerPlan[];
  readonly output_norm: Tensor;
  /** The embedding itself when the model is tied. */
  readonly output: Tensor;
}

/** Which tensor does what in the forward pass of a model; its tensors are complete, as binding has checked. */
export function planDecoder(model: Pick<Model, "architecture" | "hparams" | "tensors">): DecoderPlan {
  const { architecture, hparams, tensors } = model;
  const byRole = new Map(tensors.map((tensor) => [key(tensor.role, tensor.layer), tensor]));
  const find = (role: Role, layer?: number) => byRole.get(key(role, layer));
  return {
    hparams,
    traits: architecture.decoder,
    token_embd: find("token_embd")!,
    rope_freqs: find("rope_freqs"),
    layers: Array.from({ length: hparams.blockCount }, (_, layer) => {
      const linear = (role: BlockMatrix): Linear => ({
        weight: find(role, layer)!,
        bias: find(`${role}_bias`, layer),
      });
      return {
        attn_norm: find("attn_norm", layer)!,
        attn_q: linear("attn_q"),
        attn_k: linear("attn_k"),
        attn_v: linear("attn_v"),
        attn_output: linear("attn_output"),
        ffn_norm: find("ffn_norm", layer)!,
        ffn_gate: linear("ffn_gate"),
        ffn_up: linear("ffn_up"),
        ffn_down: linear("ffn_down"),
      };
    }),
    output_norm: find("output_norm")!,
    output: find("output") ?? find("token_embd")!,
  };
}

function key(role: Role, layer: number | undefined): string {
  return `${layer ?? ""} ${role}`;
}
