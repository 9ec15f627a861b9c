import type { Architecture } from "../architecture.js";
import { expectField, reader } from "../config.js";
import { linear } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { llama, llamaSchema, readLlama } from "./llama.js";

/** Llamas whose feed-forwards have squared ReLU and no gate. */
export const arcee: Architecture = {
  ...llama,
  name: "arcee",
  covers: ["Arcee AFM 4.5B"],
  year: 2025,
  classes: ["ArceeForCausalLM"],
  read: reader(llamaSchema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "relu2", "relu2");
    const model = readLlama({ ...config, hidden_act: "silu" });
    return { ...model, optional: (model.optional ?? []).filter((role) => role !== "ffn_gate_bias") };
  }),
  tensors: [
    ...llama.tensors
      .filter(({ role }) => !role.startsWith("ffn_") || role === "ffn_norm")
      .filter(({ role }) => role !== "router"),
    ...linear("ffn_up", ["ffn", "embd"], "model.layers.{i}.mlp.up_proj", { bias: "optional" }),
    ...linear("ffn_down", ["embd", "ffn"], "model.layers.{i}.mlp.down_proj", { bias: "optional" }),
  ],
  decoder: (h) =>
    decoderOf(h, () => attention({ rope: { pairs: "neighbours" }, window: h.slidingWindow }), {
      activation: "relu_squared",
    }),
};
