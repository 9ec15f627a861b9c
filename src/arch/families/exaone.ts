import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, headDim, positive, reader } from "../config.js";
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { linear, norm, ropeDivisors, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";

const { num_hidden_layers: _, rms_norm_eps: __, ...fields } = decoderFields;
const schema = v.looseObject({
  ...fields,
  num_layers: count,
  layer_norm_epsilon: positive,
  activation_function: v.nullish(v.string()),
  partial_rotary_factor: v.nullish(positive),
});

const LAYER = "transformer.h.{i}";

/** Llamas with the names of GPT-2. */
export const exaone: Architecture = {
  name: "exaone",
  covers: ["EXAONE 3 and 3.5"],
  classes: ["ExaoneForCausalLM"],
  read: reader(schema, ({ num_layers, layer_norm_epsilon, ...rest }) => {
    expectField("activation_function", rest.activation_function ?? "silu", "silu");
    const config = { ...rest, num_hidden_layers: num_layers, rms_norm_eps: layer_norm_epsilon };
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config),
        ...ropeKeys(config, Math.floor(headDim(config) * rotaryShare(config, 1))),
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "transformer.wte.weight"),
    ...ropeDivisors.slice(0, 1),
    ...norm("attn_norm", "embd", `${LAYER}.ln_1`),
    ...linear("attn_q", ["q", "embd"], `${LAYER}.attn.attention.q_proj`),
    ...linear("attn_k", ["kv", "embd"], `${LAYER}.attn.attention.k_proj`),
    ...linear("attn_v", ["v", "embd"], `${LAYER}.attn.attention.v_proj`),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.attn.attention.out_proj`),
    ...norm("ffn_norm", "embd", `${LAYER}.ln_2`),
    ...linear("ffn_gate", ["ffn", "embd"], `${LAYER}.mlp.c_fc_0`),
    ...linear("ffn_up", ["ffn", "embd"], `${LAYER}.mlp.c_fc_1`),
    ...linear("ffn_down", ["embd", "ffn"], `${LAYER}.mlp.c_proj`),
    ...norm("output_norm", "embd", "transformer.ln_f"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [`${LAYER}.attn.attention.rotary.inv_freq`, "transformer.rotary.inv_freq"],
  decoder: (h) => llamaKind(h, "halves"),
};
