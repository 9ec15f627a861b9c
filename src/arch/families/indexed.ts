import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { count, expectField, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import { deepSeekSchema, deepseek2, latentDecoder, readDeepSeek } from "./deepseek2.js";

// Latent attention behind an index that chooses a query's keys. As far as a text has no more tokens than are chosen, all
// are, and the index does nothing: that far these models are evaluated.

const schema = v.looseObject({
  ...deepSeekSchema.entries,
  index_n_heads: v.nullish(count, 64),
  index_head_dim: v.nullish(count, 128),
  index_topk: v.nullish(count, 2048),
  indexer_types: v.nullish(v.array(v.string())),
});

type Config = v.InferOutput<typeof schema>;

/** @throws LlqError `bad-input` when layers and what is said of them differ in number */
function readIndexed(config: Config, hasTypes: boolean): HfModel {
  const model = readDeepSeek(config, { gating: "sigmoid", normalize: true, leadingDense: 3 });
  const { num_hidden_layers: layers, indexer_types: types } = config;
  if (types != null && types.length !== layers) {
    throw badInput(t`config.json: indexer_types has ${types.length} entries for ${layers} layers`);
  }
  for (const type of types ?? []) expectField("indexer_types", type, "full", "shared");
  const full = Array.from({ length: layers }, (_, i) => types == null || types[i] === "full");
  return {
    ...model,
    keys: [
      ...model.keys,
      ["attention.indexer.head_count", meta.u32(config.index_n_heads)],
      ["attention.indexer.key_length", meta.u32(config.index_head_dim)],
      ["attention.indexer.top_k", meta.u32(config.index_topk)],
      ...(hasTypes ? [["attention.indexer.types", meta.bools(full)] as const] : []),
    ],
  };
}

/** Layers without an index of their own take the choice of the one before. */
const when = ({ latent }: HParams, layer: number | undefined) => latent.indexed?.[layer!] ?? true;
const source = "model.layers.{i}.self_attn.indexer";
const row = (role: TensorRow["role"], name: string, shape: TensorRow["shape"], from: string): TensorRow => ({
  ...{ name: `blk.{i}.indexer.${name}`, role, shape, source: `${source}.${from}`, when },
});

const index: readonly TensorRow[] = [
  row("indexer_k_norm", "k_norm.weight", ["indexerKey"], "k_norm.weight"),
  row("indexer_k_norm_bias", "k_norm.bias", ["indexerKey"], "k_norm.bias"),
  row("indexer_proj", "proj.weight", ["indexerHeads", "embd"], "weights_proj.weight"),
  row("indexer_k", "attn_k.weight", ["indexerKey", "embd"], "wk.weight"),
  row("indexer_q", "attn_q_b.weight", ["indexerQ", "queryRank"], "wq_b.weight"),
];

const decoder: Architecture["decoder"] = (h) =>
  latentDecoder(h, { gating: "sigmoid" }, { most: h.latent.indexerTopK || undefined });

export const deepseek32: Architecture = {
  ...deepseek2,
  name: "deepseek32",
  covers: ["DeepSeek V3.2, in texts within its index"],
  year: 2025,
  classes: ["DeepseekV32ForCausalLM"],
  read: reader(schema, (config) => readIndexed(config, false)),
  tensors: [...deepseek2.tensors, ...index],
  decoder,
};

export const glmDsa: Architecture = {
  ...deepseek32,
  name: "glm-dsa",
  covers: ["GLM-5, in texts within its index"],
  year: 2026,
  classes: ["GlmMoeDsaForCausalLM"],
  read: reader(schema, (config) => readIndexed(config, true)),
};
