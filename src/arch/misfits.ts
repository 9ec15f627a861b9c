import type { Container } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";
import type { Architecture } from "./architecture.js";
import { storedName } from "./checkpoint/latent.js";

// What is wrong with a checkpoint whose tensors are not those of its architecture.

/** What is missing, and why if that can be seen. */
export function missingFrom(
  container: Container,
  architecture: Architecture,
  names: readonly string[],
): LlqError {
  const where = container.files[0] ?? t`the checkpoint`;
  const strange = names.find((name) => container.opaque.has(name));
  if (strange !== undefined) {
    const message = t`${where}: tensor ${strange} is ${container.opaque.get(strange)}`;
    return new LlqError("unsupported", message, { hint: plainer(container.opaque.get(strange)!) });
  }
  if (
    names.length === 1 &&
    architecture.tensors.some(({ role, source }) => role === "output" && source === names[0])
  ) {
    const message = t`${where}: the output, ${names[0]}, is missing, and config.json does not tie it to the embedding`;
    return badInput(
      message,
      t`was the base model saved alone, by AutoModel? AutoModelForCausalLM has the output`,
    );
  }
  const packed = [...container.opaque.keys()].filter((name) => PACKED_NAMES.test(name));
  if (packed.length > 0) {
    return new LlqError("unsupported", t`${where}: weights are packed in tensors such as ${packed[0]}`, {
      hint: t`take the original checkpoint, or one whose config.json says how they are packed`,
    });
  }
  const ofMlx = [...container.tensors.keys()].find((name) => MLX_NAMES.test(name));
  if (ofMlx !== undefined) {
    const message = t`${where}: ${ofMlx} is of mlx-lm's own form of the model, which is not read`;
    return new LlqError("unsupported", message, { hint: t`take the original checkpoint` });
  }
  const own = new Set(names.map((name) => name.replace(/^[^.]*\./, "")));
  const other = [...container.tensors.keys()].find((name) =>
    [...own].some((each) => name.endsWith(`.${each}`)),
  );
  if (other === undefined) return missingTensors(where, names, container.files.length > 1);
  const wanted = names.find((name) => other.endsWith(name.replace(/^[^.]*\./, "")));
  return badInput(
    t`${where}: ${names.length} tensors are missing: ${listed(names)}`,
    t`there is ${other} in the place of ${wanted}: another prefix`,
  );
}

/** What tools that pack weights call their parts. */
const PACKED_NAMES =
  /\.(absmax|quant_map|quant_state\.\w+|SCB|qweight|weight_packed|scales|_data|_scale|W_q)$/;

/** What mlx-lm makes of experts, and of a latent's keys and values. */
const MLX_NAMES = /\.(switch_mlp|embed_q|unembed_out)\./;

/**
 * @param isSharded whether the checkpoint is in several files; a name such as model-00001-of-00003.safetensors tells too
 */
export function missingTensors(where: string, names: readonly string[], isSharded: boolean) {
  const isPart = isSharded || /\d+-of-\d+|\.\d+\.\w+$/.test(where);
  const hint = isPart
    ? t`is a shard missing?`
    : t`it is all in one file: was it saved with another configuration, or not to its end?`;
  return badInput(t`${where}: ${names.length} tensors are missing: ${listed(names)}`, hint);
}

export function unknownTensors(where: string, architecture: Architecture, names: readonly string[]) {
  return badInput(t`${where}: ${names.length} tensors are no part of ${architecture.name}: ${listed(names)}`);
}

function listed(all: readonly string[]): string {
  const names = [...new Set(all.map(storedName))];
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? t`${shown} and ${names.length - 5} more` : shown;
}

/** What makes weights of a tensor of another type. */
function plainer(type: string): string {
  if (/^[UI]\d+$/.test(type))
    return t`it is packed, and config.json does not say how; take the original checkpoint`;
  if (type.endsWith(t`negated or conjugated`))
    return t`call resolve_neg() and resolve_conj() on it in PyTorch and save the model again`;
  return t`save the model in one of F32, F16 and BF16`;
}
