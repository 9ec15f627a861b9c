import type { Architecture } from "../architecture.js";
import { expectField, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import { linear, norm, ropeDivisors, separateQkv, tensor } from "../rows.js";
import { attention, type FeedForwardTraits, perLayer } from "../traits.js";
import { llamaSchema, readLlama } from "./llama.js";

const LAYER = "model.layers.{i}";
const ACT = `${LAYER}.mlp.act_fn`;
const layerNumbers = {
  "xielu.alpha_n": `${ACT}.alpha_n`,
  "xielu.alpha_p": `${ACT}.alpha_p`,
  "xielu.beta": `${ACT}.beta`,
  "xielu.eps": `${ACT}.eps`,
};

const softplus = (x: number) => Math.log1p(Math.exp(x));

/** Where nothing says: what transformers begins to train with. */
const UNTRAINED = [0.8, 0.8, 0.5, -1e-6] as const;

function feedForward({ xielu }: HParams, layer: number): FeedForwardTraits {
  if (xielu === undefined) return { activation: { kind: "xielu", parameters: UNTRAINED } };
  const beta = xielu.beta[layer]!;
  const [alphaP, alphaN] = [softplus(xielu.alphaP[layer]!), beta + softplus(xielu.alphaN[layer]!)];
  return { activation: { kind: "xielu", parameters: [alphaP, alphaN, beta, xielu.eps[layer]!] } };
}

/** Queries and keys are normed; feed-forwards have xIELU, with parameters of each layer, and no gate. */
export const apertus: Architecture = {
  name: "apertus",
  covers: ["Apertus"],
  year: 2025,
  classes: ["ApertusForCausalLM"],
  read: reader(llamaSchema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "xielu", "xielu");
    expectField("mlp_bias", config.mlp_bias ?? false, false);
    return readLlama({ ...config, hidden_act: "silu", rope_theta: config.rope_theta ?? 12_000_000 });
  }),
  layerNumbers,
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...ropeDivisors,
    ...norm("attn_norm", "embd", `${LAYER}.attention_layernorm`),
    ...separateQkv(`${LAYER}.self_attn`, { bias: "optional" }),
    ...norm("attn_q_norm", "head", `${LAYER}.self_attn.q_norm`),
    ...norm("attn_k_norm", "head", `${LAYER}.self_attn.k_norm`),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.self_attn.o_proj`, { bias: "optional" }),
    ...norm("ffn_norm", "embd", `${LAYER}.feedforward_layernorm`),
    ...linear("ffn_up", ["ffn", "embd"], `${LAYER}.mlp.up_proj`),
    ...linear("ffn_down", ["embd", "ffn"], `${LAYER}.mlp.down_proj`),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: Object.values(layerNumbers),
  decoder: (h) => ({
    norm: "rms",
    layers: perLayer(h, (layer) => ({
      mixer: attention({ rope: { pairs: "halves" } }),
      feedForward: feedForward(h, layer),
    })),
  }),
};
