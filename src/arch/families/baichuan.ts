import * as v from "valibot";
import { LlqError } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, TensorRow } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, headDim, reader } from "../config.js";
import { partOf } from "../fused.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, norm, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";
import { permuteK, permuteQ } from "./llama.js";

// The 7B models have RoPE, the 13B models ALiBi, and neither config.json nor GGUF says so: the number of layers does.
const LAYERS_WITH_ROPE = 32;
const LAYERS_WITH_ALIBI = 40;

const schema = v.looseObject({
  ...decoderFields,
  max_position_embeddings: v.optional(count),
  model_max_length: v.optional(count),
});

const PACK = "model.layers.{i}.self_attn.W_pack";
const part = (index: number) => partOf(["q", "kv", "v"], index);

const baichuan1: readonly TensorRow[] = [
  tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
  ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
  // ALiBi does not mind that queries and keys are permuted alike; llama.cpp's converter does not tell them apart.
  ...linear("attn_q", ["q", "embd"], PACK, { part: part(0), transform: permuteQ }),
  ...linear("attn_k", ["kv", "embd"], PACK, { part: part(1), transform: permuteK }),
  ...linear("attn_v", ["v", "embd"], PACK, { part: part(2) }),
  ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
  ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
  ...gatedMlp("model.layers.{i}.mlp"),
  ...norm("output_norm", "embd", "model.norm"),
  tensor("output", ["vocab", "embd"], "lm_head.weight"),
];

/** Baichuan2's vocabulary is its own; the other field is in its configs only. */
function isSecond(config: Readonly<Record<string, unknown>>): boolean {
  return config["vocab_size"] === 125696 || "z_loss_weight" in config;
}

export const baichuan: Architecture = {
  name: "baichuan",
  covers: ["Baichuan 7B and 13B"],
  classes: ["BaiChuanForCausalLM", "BaichuanForCausalLM"],
  accepts: (config) => !isSecond(config),
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    expectField("num_hidden_layers", config.num_hidden_layers, LAYERS_WITH_ROPE, LAYERS_WITH_ALIBI);
    const context = config.max_position_embeddings ?? config.model_max_length;
    if (context === undefined) {
      throw new LlqError("bad-input", t`config.json: neither max_position_embeddings nor model_max_length`);
    }
    const known = { ...config, max_position_embeddings: context };
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(known),
        ["tensor_data_layout", meta.string("Meta AI original pth")],
        ...ropeKeys(known, headDim(config)),
      ],
    };
  }),
  tensors: baichuan1,
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq"],
  decoder: (h) => ({
    norm: "rms",
    layers: allLayers(h, {
      mixer: attention(
        h.blockCount === LAYERS_WITH_ALIBI ? { alibiMaxBias: 8 } : { rope: { pairs: "neighbours" } },
      ),
      feedForward: { activation: "silu" },
    }),
  }),
};

/** Its logits come from normalized rows of the output: they are normalized once, here. */
export const baichuan2: Architecture = {
  ...baichuan,
  covers: ["Baichuan2 7B and 13B"],
  classes: ["BaichuanForCausalLM"],
  accepts: isSecond,
  tensors: baichuan1.map((row) =>
    row.role === "output" ? { ...row, steps: [{ kind: "normalizeRows" }] } : row,
  ),
};
