/** The matrices of a decoder's block, as GGUF names them. */
export type BlockMatrix =
  | "attn_q"
  | "attn_k"
  | "attn_v"
  | "attn_qkv"
  | "attn_gate"
  | "attn_q_a"
  | "attn_q_b"
  | "attn_kv_a"
  | "attn_kv_b"
  | "attn_k_b"
  | "attn_v_b"
  | "attn_output"
  | FeedForwardMatrix
  | `${FeedForwardMatrix}_exps`
  | "ffn_gate_up_exps"
  | `${FeedForwardMatrix}_shexp`
  | "ffn_latent_down"
  | "ffn_latent_up"
  | "ssm_in"
  | "ssm_conv"
  | "ssm_x"
  | "ssm_dt"
  | "ssm_alpha"
  | "ssm_beta"
  | "ssm_ba"
  | "ssm_conv_q"
  | "ssm_conv_k"
  | "ssm_conv_v"
  | "ssm_f_a"
  | "ssm_f_b"
  | "ssm_g_a"
  | "ssm_g_b"
  | "ssm_out"
  | "shortconv_in"
  | "shortconv_conv"
  | "shortconv_out"
  | "layer_input_gate"
  | "layer_input_proj"
  | "laurel_l"
  | "laurel_r"
  | "altup_router";

/** Also of experts, stacked, and of the expert that is shared by all tokens. */
export type FeedForwardMatrix = "ffn_gate" | "ffn_up" | "ffn_down";

/**
 * Norms of embeddings, before and after the halves of a block, of queries, keys and what attention gives, and before the
 * output; numbered are those of an MLP (1) and of experts (2) that a block has side by side.
 */
export type Norm =
  | "token_embd_norm"
  | "attn_norm"
  | "attn_norm_2"
  | "attn_q_norm"
  | "attn_k_norm"
  | "attn_sub_norm"
  | "attn_q_a_norm"
  | "attn_kv_a_norm"
  | "attn_post_norm"
  | "ffn_norm"
  | "ffn_sub_norm"
  | "ffn_post_norm"
  | "ffn_pre_norm_2"
  | "ffn_post_norm_1"
  | "ffn_post_norm_2"
  | "ssm_norm"
  | "ssm_dt_norm"
  | "ssm_b_norm"
  | "ssm_c_norm"
  | "layer_input_norm"
  | "layer_input_post_norm"
  | "laurel_post_norm"
  | "altup_router_norm"
  | "output_norm";

/** What a tensor is for. Recipes, the planner and the evaluator ask for the role; none of them looks at names. */
export type Role =
  | "token_embd"
  | "rope_freqs"
  | "rope_factors_long"
  | "rope_factors_short"
  | Norm
  | `${Norm}_bias`
  | BlockMatrix
  | `${BlockMatrix}_bias`
  | "output"
  | "output_bias"
  | OtherRole;

/** Roles that only some families have: low-rank attention, experts, learned positions, state spaces. */
export type OtherRole =
  | "per_layer_token_embd"
  | "layer_input_model"
  | "altup_proj"
  | "altup_unembd_proj"
  | "altup_predict_coef"
  | "altup_correct_coef"
  | "altup_correct_scale"
  | "position_embd"
  | "token_types"
  | "attn_sinks"
  | "indexer_q"
  | "indexer_k"
  | "indexer_proj"
  | "indexer_k_norm"
  | "indexer_k_norm_bias"
  | "layer_output_scale"
  | "scale"
  | "input_scale"
  | "router"
  | "router_bias"
  | "router_scale"
  | "expert_scales"
  | "selection_bias"
  | "router_shexp"
  | "ssm_a"
  | "ssm_d";
