import type { Container } from "../../../formats/container.js";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Architecture } from "../architecture.js";

/**
 * What the names of a family's tensors begin with, and may come without: the module that transformers calls the base
 * model, `model.` or `transformer.`, which is what AutoModel saves by itself.
 */
export function basePrefix({ tensors }: Architecture): string {
  const [source] = [tensors.find(({ role }) => role === "token_embd")?.source ?? []].flat();
  const [first, ...rest] = (source ?? "").split(".");
  return rest.length > 1 ? `${first}.` : "";
}

/** What only names in wrappers have; most names have none of it. */
const WRAPPED = /(^|\.)(_orig_mod|module|language_model|text_model)\./;

/**
 * The checkpoint without what wrappers put around the names of modules: DistributedDataParallel's `module.`,
 * torch.compile's `_orig_mod.`, `state_dict.` or a second `model.` of a training checkpoint, whose other parts are left
 * out, and what models that see or hear call their language model.
 * @throws LlqError `bad-input` when two tensors would have one name
 */
export function withoutWrappers(container: Container): Container {
  const names = [...container.tensors.keys()];
  const inState = names.some((name) => name.startsWith("state_dict."));
  const isTwice = names.some((name) => /^(state_dict\.)?model\.model\./.test(name));
  const bare = (name: string): string | undefined => {
    if (!inState && !isTwice && !WRAPPED.test(name)) return name;
    if (inState && !name.startsWith("state_dict.")) return undefined;
    let result = name.replace(/^state_dict\./, "").replace(/(^|\.)_orig_mod\./g, "$1");
    result = result.replace(/^module\./, "");
    if (isTwice && container.format === "torch" && !result.startsWith("model.")) return undefined;
    if (isTwice) result = result.replace(/^model\./, "");
    return withoutLanguage(result);
  };
  if (names.every((name) => bare(name) === name)) return container;
  const renamed = <T>(map: ReadonlyMap<string, T>): Map<string, T> => {
    const result = new Map<string, T>();
    for (const [name, value] of map) {
      const plain = bare(name);
      if (plain === undefined) continue;
      if (result.has(plain))
        throw badInput(t`${container.files[0]}: two tensors are ${plain}: one is ${name}`);
      result.set(plain, value);
    }
    return result;
  };
  return {
    ...container,
    tensors: renamed(container.tensors),
    opaque: renamed(container.opaque),
    ...(container.raw && { raw: renamed(container.raw) }),
  };
}

/**
 * `language_model.model.x`, `model.language_model.x` and `model.text_model.x` are `model.x`; `language_model.lm_head`
 * stands at the top.
 */
function withoutLanguage(name: string): string {
  return name
    .replace(/^(thinker\.)?language_model\./, "")
    .replace(/^(thinker\.)?model\.(language|text)_model\./, "model.");
}
