import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { textConfig } from "../../../src/arch/checkpoint/text-config.js";
import { architectureOfConfig } from "../../../src/arch/index.js";
import { refusal } from "../../support/build/build.js";
import { GOLDEN_FAMILIES } from "../../support/families.js";

// Every field of every family's config.json: of another type, out of bounds, left out.

type Config = Record<string, unknown>;

const families = readdirSync(GOLDEN_FAMILIES).flatMap((name) => {
  const file = join(GOLDEN_FAMILIES, name, "config.json");
  if (!existsSync(file)) return [];
  const config = textConfig(JSON.parse(readFileSync(file, "utf8"))) as Config;
  return [{ name, config, type: String(config["model_type"]) }];
});

/** What comes of a config.json, or why nothing does. */
function read(config: Config): string {
  let model: unknown;
  const refused = refusal(() => {
    model = architectureOfConfig("config.json", config).read("config.json", config);
  });
  const plain = (_: string, value: unknown) => {
    if (value instanceof Map) return [...value];
    return typeof value === "bigint" ? String(value) : value;
  };
  return model === undefined ? refused : JSON.stringify(model, plain);
}

const isRefused = (said: string, field: string) =>
  /^(bad-input|unsupported): /.test(said) && said.includes(field);

/** The fields of a configuration and those within them, by path, each with a configuration in which it is another value. */
function fieldsOf(config: Config): { path: string[]; value: unknown; but: (other: unknown) => Config }[] {
  return Object.entries(config).flatMap(([key, value]) => {
    const own = { path: [key], value, but: (other: unknown) => ({ ...config, [key]: other }) };
    if (value === null || typeof value !== "object" || Array.isArray(value)) return [own];
    const within = fieldsOf(value as Config).map(({ path, value: each, but }) => {
      return { path: [key, ...path], value: each, but: (other: unknown) => own.but(but(other)) };
    });
    return [own, ...within];
  });
}

/** Fields that no reader looks at: of training, of other programs, of images and sound. */
// biome-ignore format: a list
const UNREAD: readonly (string | RegExp)[] = [
  "model_type", "transformers_version", "dtype", "torch_dtype", "init_device", "is_decoder", "slow_but_exact", "n_ctx",
  "quantization_config", "text_config", "vision_config", "audio_config", "qk_head_dim", "num_nextn_predict_layers",
  /(token_id|token_index|pdrop|dropout|dropout_prob|initializer_range|dropout_fusion)$/, /^(use|num)_(cache|logits_to_keep)$/,
  /^time_step_(floor|init_scheme|max|scale)$/, /^(image|vision|video|projector|spatial|mm|multimodal)_/, /^(down|scale_f).*(factor|ratio|actor)$/,
  /^(attention|scale_attention)_softmax_in_fp32$/, /^fp32_residual_connection$|^residual_in_fp32$|^rescale_prenorm_residual$/,
  /^z_loss|loss_coef$|^output_router_logits$|jitter_noise$|^moe_(shared_expert_overlap|router_enable_expert_bias)$/,
  /chunk_size$|^mamba_ssm_cache_dtype$|^use_(associative_scan|mamba_kernels|mambapy|flash_attn|logn_attn|dynamic_ntk)$/,
  "add_cross_attention", "altup_coef_clip", "apply_query_key_layer_scaling", "attn_implementation", "cache_implementation",
  "embedding_fraction", "enable_moe_fp32_combine", "learned_pos_emb", "mtp_layers_block_type", "multi_gate", "pretraining_tp",
  "router_dtype",
  // Configurations within configurations, with what transformers writes into each.
  /^(attn|ffn)_config\.(_name_or_path|attn_\w+|chunk_\w+|dtype|id2label.*|label2id.*|is_\w+|model_type|output_\w+|return_dict)$/,
  /^ffn_config\.(hidden_size|moe_loss_weight)$/,
  // Of positions in pictures; and the context again.
  /^rope_parameters\.(mrope_\w+|max_position_embeddings)$/,
];

/** Fields that others have a use for, and these families none. */
// biome-ignore format: columns
const UNREAD_OF: readonly [path: string, families: RegExp][] = [
  ["activation_function",     /^starcoder2$/],
  ["expand",                  /mamba|^nemotron-h/], // but for Mamba 2, below
  ["head_dim",                /^kimi-linear$/],
  ["layer_norm_epsilon",      /^mpt-norms$/],
  ["layer_types",             /^(deepseek-v3\.2|glm-5)$/],
  ["mamba_conv_bias",         /^granite-4-attention$/],
  ["mamba_d_head",            /^granite-4-attention$/],
  ["mamba_proj_bias",         /^granite-4-attention$/],
  ["max_position_embeddings", /mamba|^nemotron-h|^qwen$/],
  ["norm_type",               /^mpt-norms$/],
  ["num_key_value_heads",     /^(dbrx|kimi-linear|starcoder)$/],
  ["tie_word_embeddings",     /^(kimi-linear|qwen)$/],
  ["time_step_limit",         /^(granite-4-attention|nemotron-h.*)$/],
  ["time_step_min",           /mamba/],
  ["time_step_rank",          /^mamba2/],
];

function isUnread(path: string, family: string): boolean {
  const [first = ""] = path.split(".");
  return (
    UNREAD.some((each) =>
      typeof each === "string" ? each === first : each.test(path) || each.test(first),
    ) || UNREAD_OF.some(([field, families]) => field === path && families.test(family))
  );
}

test("a field of another type is refused by name, whatever the family", () => {
  let count = 0;
  const wrong = families.flatMap(({ name, config }) =>
    fieldsOf(config).flatMap(({ path, value, but }) => {
      const field = path.at(-1)!;
      if (value === null || isUnread(path.join("."), name)) return [];
      count++;
      const said = read(but(typeof value === "object" ? 7.5 : { [field]: [field] }));
      return isRefused(said, field) ? [] : [`${path.join(".")} of ${name}: ${said.slice(0, 70)}`];
    }),
  );
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(2500);
});

/** Of what may have a fraction, though the tiny checkpoints' have none; the last is for the top layers to have. */
const REAL =
  /softcapping$|multiplier$|_scale$|_factor$|^scale_emb$|_theta$|_base(_freq)?$|rope_ratio|query_pre_attn_scalar|dim_model_base|swiglu_limit|local_base_freq|^(alpha|beta_fast|beta_slow|factor|mscale|mscale_all_dim|llama_4_scaling_beta|alibi_bias_max|clip_qkv)$/;
/** What -1 may mean, or no more than 0: no window, all layers. */
const ANY = /^(sliding_window|max_window_layers|moe_layer_end_index)$/;

test("a count is whole, not negative, and no more than 31 bits, or it is refused by name", () => {
  let count = 0;
  const wrong = families.flatMap(({ name, config }) =>
    fieldsOf(config).flatMap(({ path, value, but }) => {
      const field = path.at(-1)!;
      if (!Number.isInteger(value) || isUnread(path.join("."), name)) return [];
      if (REAL.test(field) || ANY.test(field)) return [];
      count++;
      return [-1, Number(value) + 0.5, 2 ** 31, 2 ** 53].flatMap((other) => {
        const said = read(but(other));
        return isRefused(said, field) ? [] : [`${path.join(".")} ${other} of ${name}: ${said.slice(0, 70)}`];
      });
    }),
  );
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(1000);
});

/** What transformers' classes have, see golden/make/config_defaults.py. */
const DEFAULTS: Readonly<Record<string, Config>> = JSON.parse(
  readFileSync(new URL("../../golden/config-defaults.json", import.meta.url), "utf8"),
);

/**
 * Fields that save_pretrained always writes, and publishers do, of which llq takes something else where they are not: most
 * are the widths of matrices, and those of a checkpoint would not fit.
 */
const STATED =
  /^(head_dim|num_key_value_heads|(kv|q)_lora_rank|qk_nope_head_dim|v_head_dim|index_n_heads|intermediate_size|linear_num_heads|mamba_\w+|num_heads|num_experts|num_local_experts|n_routed_experts|n_shared_experts|num_experts_per_tok|max_position_embeddings|original_max_position_embeddings|n_group|topk_group|rms_norm_eps)$/;

/** Numbers of which the same holds, by classes: models were trained with others, and their configurations state them. */
// biome-ignore format: columns
const STATED_BY: readonly [field: string, types: RegExp][] = [
  ["routed_scaling_factor",   /^(deepseek|kimi|mistral4|glm|dots1|youtu|solar)/], // none is 1, and the key for 1 is not written
  ["sliding_window",          /^(mistral|exaone4)/],               // none is no window
  ["attn_logit_softcapping",  /^gemma2$/],                         // none is no cap
  ["final_logit_softcapping", /^gemma2$/],
  ["scale_depth",             /^minicpm3$/],                       // none is 1
  ["dim_model_base",          /^minicpm3$/],
  ["tie_word_embeddings",     /^(youtu|internvl|qwen2)/],
];

/** Fields without which a config.json says too little: how wide and deep the model is, and what every publisher states. */
const NEEDED =
  /^(vocab_size|num_hidden_layers|hidden_size|num_attention_heads|(moe|shared_expert)_intermediate_size|(layer_)?norm_epsilon|sliding_window|state_size|conv_kernel|n_(layers?|heads?|positions|embd)|max_seq_len|d_model|moe_(topk|num_experts|k))$/;

test("a field that is left out is what transformers takes for it, and refused by name where there is nothing to take", () => {
  let count = 0;
  const wrong = families.flatMap(({ name, config, type }) =>
    Object.entries(DEFAULTS[type] ?? {}).flatMap(([field, value]) => {
      if (isUnread(field, name) || STATED.test(field)) return [];
      if (STATED_BY.some(([each, types]) => each === field && types.test(type))) return [];
      count++;
      const { [field]: _, ...without } = config;
      const said = read(without);
      const stated = read({ ...config, [field]: value });
      if (said === stated || (isRefused(said, field) && (NEEDED.test(field) || isRefused(stated, field))))
        return [];
      return [`${field} (${value}) of ${name}: ${said.slice(0, 70)}`];
    }),
  );
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(1000);
});

// Defaults of the classes that publishers have beside their models (configuration_bailing_moe.py, configuration_chatglm.py,
// configuration_minicpm.py), where transformers has none of its own.
test.each([
  ["ling-lite", "first_k_dense_replace", 0],
  ["ling-lite", "hidden_act", "silu"],
  ["ling-lite", "norm_head", false],
  ["ling-lite", "norm_topk_prob", true],
  ["ling-lite", "num_shared_experts", 0],
  ["ling-lite", "tie_word_embeddings", false],
  ["ling-lite", "use_bias", true],
  ["ling-lite", "use_qkv_bias", false],
  ["ling-2", "norm_head", false],
  ["ling-2", "use_bias", false],
  ["ling-2", "use_qkv_bias", false],
  ["chatglm", "position_encoding_2d", true],
  ["minicpm", "dim_model_base", 1],
  ["minicpm", "scale_depth", 1],
  ["minicpm", "scale_emb", 1],
  ["minicpm", "tie_word_embeddings", true],
])("of %s, %s that is left out is %s, as its publisher has it", (family, field, value) => {
  const { config } = families.find(({ name }) => name === family)!;
  const { [field]: _, ...without } = config;
  expect(read(without)).toBe(read({ ...config, [field]: value }));
});
