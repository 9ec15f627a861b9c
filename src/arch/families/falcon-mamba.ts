import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import { positive, reader } from "../config.js";
import { mamba, mambaSchema, readMamba } from "./mamba.js";

const schema = v.looseObject({ ...mambaSchema.entries, mixer_rms_eps: v.nullish(positive) });

function readFalconMamba(config: v.InferOutput<typeof schema>): HfModel {
  const model = readMamba(config);
  const [all, own] = [config.layer_norm_epsilon ?? 1e-5, config.mixer_rms_eps ?? 1e-6];
  const keys = model.keys.map(
    ([key, field]) => [key, key === "ssm.dt_b_c_rms" ? meta.bool(true) : field] as const,
  );
  if (own === all) return { ...model, keys };
  return {
    ...model,
    keys: [...keys, ["ssm.dt_b_c_rms_epsilon", meta.f32(own)]],
    remarks: [
      ...(model.remarks ?? []),
      t`llama.cpp norms step, B and C with the layers' epsilon ${all}, not with mixer_rms_eps ${own}, and so computes another perplexity`,
    ],
  };
}

/** Mamba whose step, B and C go through RMS norms without weights. */
export const falconMamba: Architecture = {
  ...mamba,
  covers: ["Falcon Mamba"],
  classes: ["FalconMambaForCausalLM"],
  read: reader(schema, readFalconMamba),
};
