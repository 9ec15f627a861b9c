import type { Group } from "./protocol.js";

/** From roles (src/role.ts) to what people think of, the first that matches. */
const GROUP_OF: readonly (readonly [RegExp, Group])[] = [
  [/^(token_embd|per_layer_token_embd|position_embd|token_types)$/, "embedding"],
  [/^output$/, "output"],
  [/_bias$|norm(_\d)?$|_scale$/, "norms"],
  [/_exps$|_shexp$|^router|^expert_|^selection_|^ffn_latent/, "experts"],
  [/^(attn|indexer)_/, "attention"],
  [/^ffn_/, "feedForward"],
  [/^(ssm|shortconv)_/, "mixer"],
];

/** What a tensor of this role is for, coarsely. */
export function groupOf(role: string): Group {
  return GROUP_OF.find(([pattern]) => pattern.test(role))?.[1] ?? "other";
}
