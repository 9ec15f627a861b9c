import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { decoderFields, decoderKeys, expectField, flag, headDim, reader } from "../config.js";
import { grouped } from "../fused.js";
import { ropeKeys } from "../rope-scaling.js";
import { linear, norm, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";
import { permuteK, permuteQ } from "./llama.js";

const schema = v.looseObject({ ...decoderFields, bias: flag });

const QKV = "model.layers.{i}.attention.wqkv";

export const internlm2: Architecture = {
  name: "internlm2",
  covers: ["InternLM2 and InternLM2.5"],
  classes: ["InternLM2ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    expectField("bias", config.bias ?? false, false);
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [...decoderKeys(config), ...ropeKeys(config, headDim(config))],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.tok_embeddings.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.attention_norm"),
    ...linear("attn_q", ["q", "embd"], QKV, { part: grouped("q"), transform: permuteQ }),
    ...linear("attn_k", ["kv", "embd"], QKV, { part: grouped("k"), transform: permuteK }),
    ...linear("attn_v", ["v", "embd"], QKV, { part: grouped("v") }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.attention.wo"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.ffn_norm"),
    ...linear("ffn_gate", ["ffn", "embd"], "model.layers.{i}.feed_forward.w1"),
    ...linear("ffn_up", ["ffn", "embd"], "model.layers.{i}.feed_forward.w3"),
    ...linear("ffn_down", ["embd", "ffn"], "model.layers.{i}.feed_forward.w2"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "output.weight"),
  ],
  ignored: ["model.layers.{i}.attention.rotary_emb.inv_freq"],
  decoder: (h) => llamaKind(h, "neighbours"),
};
