import * as v from "valibot";
import { badInput, LlqError } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Transform } from "../../tensor.js";
import type { Architecture, HfModel } from "../architecture.js";
import { headDim, headsKv, reader } from "../config.js";
import { type HParams, hasAttention, numbersOf } from "../hparams.js";
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { none } from "./experts.js";
import { graniteHybrid, hasScan } from "./granite-hybrid.js";
import { llamaSchema, readLlama } from "./llama.js";
import { limitKeys, mamba2Biases, mamba2FieldKeys, mamba2Fields, mamba2Rows } from "./mamba2.js";

// Layers of Mamba-2, and some with attention whose RoPE turns half of a head. A GGUF has it as Granite 4's hybrids.

const schema = v.looseObject({
  ...llamaSchema.entries,
  attn_layer_indices: v.nullish(v.array(none)),
  partial_rotary_factor: v.nullish(v.number()),
  ...mamba2Fields,
});

type Config = v.InferOutput<typeof schema>;

/** Which layers have attention. @throws LlqError `bad-input`, `unsupported` where all layers are of one kind */
function attentionLayers({ attn_layer_indices: said, num_hidden_layers: layers }: Config): boolean[] {
  const beyond = said?.find((index) => index >= layers);
  if (beyond !== undefined)
    throw badInput(t`config.json: attn_layer_indices has ${beyond} of ${layers} layers`);
  const has = Array.from({ length: layers }, (_, i) => said?.includes(i) ?? false);
  if (has.includes(true) && has.includes(false)) return has;
  const all = has.includes(true) ? t`all layers` : t`no layer`;
  throw new LlqError("unsupported", t`config.json: attn_layer_indices gives ${all} attention`, {
    hint: t`Bamba is supported with layers of both kinds`,
  });
}

function readBamba(config: Config): HfModel {
  const limits = limitKeys(config.time_step_limit);
  const biases = mamba2Biases(config.mamba_proj_bias, config.mamba_conv_bias);
  const has = attentionLayers(config);
  const scan = mamba2FieldKeys(config);
  const turned = Math.floor(headDim(config) * rotaryShare(config, 0.5));
  const model = readLlama(config);
  const kv = meta.i32s(has.map((each) => (each ? headsKv(config) : 0)));
  const changed = new Map([...model.keys, ...ropeKeys(config, turned), ["attention.head_count_kv", kv]]);
  return {
    ...model,
    keys: [...changed, ...scan, ["rope.scaling.finetuned", meta.bool(true)], ...limits.keys],
    optional: [...(model.optional ?? []), ...(biases.optional ?? [])],
    remarks: [
      ...(biases.remarks ?? []),
      ...(limits.remarks ?? []),
      t`queries and keys are in the order in which llama.cpp turns half of a head; its own converter orders them for whole heads, which makes another model`,
    ],
  };
}

const turnedOf =
  (heads: "headCount" | "headCountKv") =>
  (h: HParams, layer: number | undefined): Transform => {
    const numbers = numbersOf(h, layer);
    return { kind: "permuteRope", heads: numbers[heads], turned: numbers.ropeDimensionCount };
  };

const LAYER = "model.layers.{i}";
const own = { when: hasAttention } as const;

export const bamba: Architecture = {
  ...graniteHybrid,
  covers: ["Bamba"],
  year: 2025,
  classes: ["BambaForCausalLM"],
  accepts: () => true,
  read: reader(schema, readBamba),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.input_layernorm`),
    ...mamba2Rows(`${LAYER}.mamba`, { when: hasScan }),
    ...separateQkv(`${LAYER}.self_attn`, {
      q: { ...own, transform: turnedOf("headCount") },
      k: { ...own, transform: turnedOf("headCountKv") },
      v: own,
      bias: "optional",
    }),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.self_attn.o_proj`, { ...own, bias: "optional" }),
    ...norm("ffn_norm", "embd", `${LAYER}.pre_ff_layernorm`),
    ...gatedMlp(`${LAYER}.feed_forward`, { bias: "optional" }),
    ...norm("output_norm", "embd", "model.final_layernorm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
};
