import { LlqError } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { HfModel } from "../architecture.js";
import type { HParams } from "../hparams.js";
import type { Activation } from "../traits.js";

// Where a family's class leaves the activation of feed-forwards to the config. GGUF's readers take the usual one; a key
// says when it is another.

/** By transformers' names (ACT2FN). */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu_erf",
  gelu_new: "gelu_tanh",
  gelu_fast: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  relu2: "relu_squared",
};

/**
 * The key and the remark of a config's activation, where it is not the one that llama.cpp takes for the architecture.
 * @throws LlqError `unsupported` for an activation that the evaluator lacks
 */
export function activationKeys(name: string, llamaCpps: Activation): Pick<HfModel, "keys" | "remarks"> {
  const activation = ACTIVATIONS[name];
  if (activation === undefined) {
    throw new LlqError("unsupported", t`config.json: hidden_act ${name} is not supported`, {
      hint: t`supported: ${Object.keys(ACTIVATIONS).join(", ")}`,
    });
  }
  if (activation === llamaCpps) return { keys: [], remarks: [] };
  return {
    keys: [["hidden_activation", meta.string(name)]],
    remarks: [t`feed-forwards have ${name}; llama.cpp computes ${llamaCpps} instead`],
  };
}

/** The activation that a model's keys say, or else the usual one. */
export function activationOf({ hiddenActivation }: HParams, usual: Activation): Activation {
  return (hiddenActivation === undefined ? undefined : ACTIVATIONS[hiddenActivation]) ?? usual;
}
