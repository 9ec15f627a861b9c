import * as v from "valibot";
import { badInput, LlqError, nearest } from "../../formats/errors.js";
import { t } from "../language/t.js";
import type { Architecture } from "./architecture.js";
import { afmoe } from "./families/afmoe.js";
import { apertus } from "./families/apertus.js";
import { arcee } from "./families/arcee.js";
import { baichuan, baichuan2 } from "./families/baichuan.js";
import { bailingmoe, bailingmoe2 } from "./families/bailingmoe.js";
import { bamba } from "./families/bamba.js";
import { bitnet } from "./families/bitnet.js";
import { bloom } from "./families/bloom.js";
import { chatglm, glm } from "./families/chatglm.js";
import { chatglm1 } from "./families/chatglm1.js";
import { cohere2 } from "./families/cohere2.js";
import { cohere2moe } from "./families/cohere2moe.js";
import { commandR } from "./families/command-r.js";
import { dbrx } from "./families/dbrx.js";
import { deepseek2, deepseekV2, glm4moeLite, youtu } from "./families/deepseek2.js";
import { dots1 } from "./families/dots1.js";
import { ernie45 } from "./families/ernie4-5.js";
import { ernie45moe } from "./families/ernie4-5-moe.js";
import { exaone } from "./families/exaone.js";
import { exaoneMoe } from "./families/exaone-moe.js";
import { exaone4 } from "./families/exaone4.js";
import { falcon } from "./families/falcon.js";
import { falconH1 } from "./families/falcon-h1.js";
import { falconMamba } from "./families/falcon-mamba.js";
import { gemma, gemma2, gemma3 } from "./families/gemma.js";
import { gemma3n } from "./families/gemma3n.js";
import { gemma4 } from "./families/gemma4.js";
import { glm4 } from "./families/glm4.js";
import { glm4moe, solarOpen } from "./families/glm4moe.js";
import { gptOss } from "./families/gpt-oss.js";
import { gpt2 } from "./families/gpt2.js";
import { gptneox } from "./families/gptneox.js";
import { granite } from "./families/granite.js";
import { graniteHybrid } from "./families/granite-hybrid.js";
import { graniteSwa } from "./families/granite-swa.js";
import { granite4Attention } from "./families/granite4-attention.js";
import { graniteMoe } from "./families/granitemoe.js";
import { graniteMoeSwa } from "./families/granitemoe-swa.js";
import { hunyuanDense } from "./families/hunyuan-dense.js";
import { hunyuanMoe } from "./families/hunyuan-moe.js";
import { hy3 } from "./families/hy3.js";
import { deepseek32, glmDsa } from "./families/indexed.js";
import { internlm } from "./families/internlm.js";
import { internlm2 } from "./families/internlm2.js";
import { internlm3 } from "./families/internlm3.js";
import { jais2 } from "./families/jais2.js";
import { jamba } from "./families/jamba.js";
import { kimiLinear } from "./families/kimi-linear.js";
import { laguna } from "./families/laguna.js";
import { lfm2, lfm2moe } from "./families/lfm2.js";
import { llama } from "./families/llama.js";
import { cwm, ministral } from "./families/llama-windows.js";
import { llama4 } from "./families/llama4.js";
import { mamba } from "./families/mamba.js";
import { mamba2 } from "./families/mamba2.js";
import { mellum } from "./families/mellum.js";
import { mimo2 } from "./families/mimo2.js";
import { minicpm } from "./families/minicpm.js";
import { minicpm3 } from "./families/minicpm3.js";
import { minimaxM2 } from "./families/minimax-m2.js";
import { mistral3 } from "./families/mistral3.js";
import { mistral4 } from "./families/mistral4.js";
import { mixtral } from "./families/mixtral.js";
import { mpt } from "./families/mpt.js";
import { nemotron } from "./families/nemotron.js";
import { nemotronH, nemotronHMoe } from "./families/nemotron-h.js";
import { olmo } from "./families/olmo.js";
import { olmo2 } from "./families/olmo2.js";
import { olmo3 } from "./families/olmo3.js";
import { olmoe } from "./families/olmoe.js";
import { phi2 } from "./families/phi2.js";
import { phi3 } from "./families/phi3.js";
import { phimoe } from "./families/phimoe.js";
import { qwen } from "./families/qwen.js";
import { qwen2vl, qwen3vl, qwen3vlmoe } from "./families/qwen-vl.js";
import { qwen2 } from "./families/qwen2.js";
import { qwen2moe } from "./families/qwen2moe.js";
import { qwen3 } from "./families/qwen3.js";
import { qwen3moe } from "./families/qwen3moe.js";
import { qwen3next } from "./families/qwen3next.js";
import { qwen35, qwen35moe } from "./families/qwen35.js";
import { seedOss } from "./families/seed-oss.js";
import { smollm3 } from "./families/smollm3.js";
import { stablelm } from "./families/stablelm.js";
import { starcoder } from "./families/starcoder.js";
import { starcoder2 } from "./families/starcoder2.js";
import { wrappers } from "./families/wrapped.js";
import { yi } from "./families/yi.js";
import { neededFor } from "./needed.js";

/** Every model family this version knows. A new one is a file beside this and an entry here. */
export const ARCHITECTURES: readonly Architecture[] = [
  llama,
  mixtral,
  yi,
  cwm,
  ministral,
  llama4,
  mistral3,
  mistral4,
  smollm3,
  internlm,
  internlm2,
  baichuan,
  baichuan2,
  qwen,
  qwen2,
  qwen2moe,
  qwen3,
  qwen3moe,
  qwen3next,
  qwen2vl,
  qwen3vl,
  qwen3vlmoe,
  qwen35,
  qwen35moe,
  chatglm,
  glm,
  chatglm1,
  gemma,
  gemma2,
  gemma3,
  gemma3n,
  gemma4,
  phi3,
  afmoe,
  olmo,
  olmo2,
  olmo3,
  exaone4,
  cohere2,
  cohere2moe,
  falcon,
  mpt,
  dbrx,
  bloom,
  gpt2,
  mamba,
  falconMamba,
  jamba,
  starcoder,
  starcoder2,
  glm4moe,
  solarOpen,
  deepseek2,
  deepseekV2,
  glm4moeLite,
  deepseek32,
  glmDsa,
  youtu,
  dots1,
  minimaxM2,
  mimo2,
  mellum,
  laguna,
  olmoe,
  gptOss,
  granite,
  graniteSwa,
  graniteMoeSwa,
  minicpm,
  minicpm3,
  internlm3,
  commandR,
  seedOss,
  glm4,
  ernie45,
  hunyuanDense,
  exaone,
  stablelm,
  gptneox,
  phi2,
  arcee,
  apertus,
  nemotron,
  jais2,
  bitnet,
  ernie45moe,
  hunyuanMoe,
  hy3,
  exaoneMoe,
  graniteMoe,
  phimoe,
  bailingmoe,
  bailingmoe2,
  lfm2,
  lfm2moe,
  mamba2,
  graniteHybrid,
  granite4Attention,
  bamba,
  nemotronH,
  nemotronHMoe,
  falconH1,
  kimiLinear,
  ...wrappers,
];

/** By what config.json says. @throws LlqError `bad-input` when it names no architecture, `unsupported` */
export function architectureOfConfig(file: string, json: unknown): Architecture {
  const parsed = v.safeParse(
    v.looseObject({ architectures: v.pipe(v.array(v.string()), v.minLength(1)) }),
    json,
  );
  if (!parsed.success) {
    throw badInput(
      t`${file}: no "architectures"`,
      t`a language model's config.json names its class, as in "architectures": ["LlamaForCausalLM"]`,
    );
  }
  const config = parsed.output;
  const name = config.architectures[0]!;
  const ofClass = ARCHITECTURES.filter(({ classes }) => classes.includes(name));
  const found = ofClass.find(({ accepts }) => accepts?.(config) ?? true);
  if (found !== undefined) return found;
  if (ofClass.length === 0) {
    throw unknown(
      file,
      name,
      ARCHITECTURES.flatMap(({ classes }) => classes),
    );
  }
  throw new LlqError("unsupported", t`${file}: this kind of ${name} is not supported`, {
    hint: t`${name} is supported for ${ofClass.flatMap(({ covers }) => covers).join(", ")}`,
  });
}

/** By GGUF's `general.architecture`: one, or several that differ in their tensors. @throws LlqError `unsupported` */
export function architecturesOfGguf(file: string, name: string): readonly Architecture[] {
  const found = ARCHITECTURES.filter((architecture) => architecture.name === name);
  if (found.length > 0) return found;
  throw unknown(file, name, [...new Set(ARCHITECTURES.map((architecture) => architecture.name))]);
}

function unknown(file: string, name: string, known: string[]): LlqError {
  // A slip of the pen in the name of a model that is known, and not one model for another, whose tensors are others.
  const model = (each: string) => each.replace(/For.*/s, "").toLowerCase();
  const near = nearest(
    name,
    known.filter((each) => model(each) === model(name)),
  );
  const question = near === undefined ? t`it would take ${neededFor(name)}; ` : t`did you mean ${near}? `;
  return new LlqError("unsupported", t`${file}: architecture ${name} is not supported`, {
    hint: t`${question}supported: ${[...new Set(known)].join(", ")}`,
  });
}
