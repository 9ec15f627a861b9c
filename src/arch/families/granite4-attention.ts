import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { expectField, reader } from "../config.js";
import { none } from "./experts.js";
import { granite, graniteSchema, readGranite } from "./granite.js";
import { dense, isAttentionOnly } from "./granite-hybrid.js";

const schema = v.looseObject({
  ...graniteSchema.entries,
  num_local_experts: v.nullish(none, 8),
  shared_intermediate_size: v.nullish(none, 1024),
  position_embedding_type: v.nullish(v.string()),
});

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
    return readGranite({ ...config, intermediate_size: config.shared_intermediate_size });
  }),
  tensors: [...granite.tensors.filter(({ role }) => !/^ffn_(gate|up|down)|^router/.test(role)), ...dense],
};
