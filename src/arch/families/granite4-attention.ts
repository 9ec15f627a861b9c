import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, expectField, headsKv, reader } from "../config.js";
import { none } from "./experts.js";
import { granite, graniteSchema, readGranite } from "./granite.js";
import { dense, isAttentionOnly } from "./granite-hybrid.js";
import { withoutFeedForward } from "./granitemoe.js";

const schema = v.looseObject({
  ...graniteSchema.entries,
  num_local_experts: v.nullish(none, 8),
  shared_intermediate_size: v.nullish(none, 1024),
  position_embedding_type: v.nullish(v.string()),
  num_experts_per_tok: v.nullish(none),
  mamba_n_heads: v.nullish(count),
  mamba_n_groups: v.nullish(count),
  mamba_d_state: v.nullish(count),
  mamba_d_conv: v.nullish(count),
  mamba_expand: v.nullish(count),
});

/** What llama.cpp's converter writes of hybrids, and its loader does not look at here. */
function hybridKeys(config: v.InferOutput<typeof schema>): HfModel["keys"] {
  const { num_hidden_layers: layers, hidden_size: hidden, mamba_expand: expand } = config;
  const some = (key: string, value: number | null | undefined) =>
    value == null ? [] : [[key, meta.u32(value)] as const];
  return [
    ["attention.head_count_kv", meta.i32s(new Array<number>(layers).fill(headsKv(config)))],
    ["expert_count", meta.u32(config.num_local_experts)],
    ...some("expert_used_count", config.num_experts_per_tok),
    ["expert_shared_feed_forward_length", meta.u32(config.shared_intermediate_size)],
    ...some("ssm.conv_kernel", config.mamba_d_conv),
    ...some("ssm.state_size", config.mamba_d_state),
    ...some("ssm.group_count", config.mamba_n_groups),
    ...some("ssm.inner_size", expand == null ? undefined : expand * hidden),
    ...some("ssm.time_step_rank", config.mamba_n_heads),
    ["rope.scaling.finetuned", meta.bool(true)],
  ];
}

/** Granite 4 without Mamba and without experts, which llama.cpp's converter writes as a Granite 3. */
export const granite4Attention: Architecture = {
  ...granite,
  covers: ["Granite 4 with attention alone"],
  year: 2025,
  classes: ["GraniteMoeHybridForCausalLM"],
  accepts: isAttentionOnly,
  read: reader(schema, (config) => {
    expectField("num_local_experts", config.num_local_experts, 0);
    expectField("position_embedding_type", config.position_embedding_type, "rope");
    const model = readGranite({ ...config, intermediate_size: config.shared_intermediate_size });
    return { ...model, keys: [...new Map([...model.keys, ...hybridKeys(config)])] };
  }),
  tensors: [...withoutFeedForward(granite.tensors), ...dense],
};
