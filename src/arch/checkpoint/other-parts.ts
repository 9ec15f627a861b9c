import * as v from "valibot";
import type { Container } from "../../../formats/container.js";

/** In the names of what models that see, hear or speak have beside their language model. */
const OTHER_SENSES =
  /visual\.|vision[._]|audio[._]|projector\.|talker\.|(token|code)2wav\.|patch_embed|patch_merger\.|image_newline|^model\.connector\.|^(mlp\d*|vit|vpm|siglip2|conformer|merger|resampler)\./;

/** Of what predicts more than the next token. */
const MULTI_TOKEN = /^(model\.)?mtp[._]/;

const config = v.looseObject({
  num_hidden_layers: v.number(),
  num_nextn_predict_layers: v.pipe(v.number(), v.minValue(1)),
});

/**
 * The checkpoint without the tensors that are no part of the language model, which `leftOut` names: towers and projectors
 * of other senses, and what predicts several tokens, blocks behind the last one among it.
 */
export function withoutOtherParts(container: Container, json: unknown): Container {
  const blocks = v.safeParse(config, json);
  const isBehind = (name: string) => {
    const block = /^model\.layers\.(\d+)\./.exec(name)?.[1];
    return blocks.success && block !== undefined && Number(block) >= blocks.output.num_hidden_layers;
  };
  const isOther = (name: string) => OTHER_SENSES.test(name) || MULTI_TOKEN.test(name) || isBehind(name);
  const { raw } = container;
  const leftOut = [...container.tensors.keys(), ...(raw?.keys() ?? [])].filter(isOther);
  if (leftOut.length === 0) return container;
  const without = <T>(all: ReadonlyMap<string, T>) => new Map([...all].filter(([name]) => !isOther(name)));
  return { ...container, tensors: without(container.tensors), ...(raw && { raw: without(raw) }), leftOut };
}
