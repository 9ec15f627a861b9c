import type { Container, Metadata, MetaField } from "../../../formats/container.js";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";

/**
 * A GGUF without the blocks behind the last one that predict more than the next token (`nextn_predict_layers`, which
 * `block_count` counts), and without what its metadata says of them. `leftOut` names their tensors.
 * @throws LlqError `bad-input` when no others are left
 */
export function withoutMultiToken(container: Container): Container {
  const { metadata } = container;
  const architecture = metadata.get("general.architecture")?.value;
  const key = (last: string) => `${architecture}.${last}`;
  const count = Number(metadata.get(key("nextn_predict_layers"))?.value ?? 0);
  const all = Number(metadata.get(key("block_count"))?.value);
  if (!(count > 0) || !Number.isSafeInteger(all)) return container;
  const blocks = all - count;
  if (blocks < 1) throw badInput(t`${container.files[0]}: ${count} of ${all} blocks predict several tokens`);
  const own = new Map<string, MetaField>();
  for (const [name, field] of metadata) {
    if (name === key("nextn_predict_layers")) continue;
    own.set(name, name.startsWith(key("")) ? ofBlocks(field, all, blocks) : field);
  }
  own.set(key("block_count"), meta.u32(blocks));
  const isBehind = (name: string) => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? 0) >= blocks;
  const leftOut = [...container.tensors.keys()].filter(isBehind);
  const tensors = new Map([...container.tensors].filter(([name]) => !isBehind(name)));
  return { ...container, tensors, metadata: own satisfies Metadata, leftOut };
}

/** A list with a value for each block, cut to those that are left. */
function ofBlocks(field: MetaField, all: number, blocks: number): MetaField {
  const { type, item, value } = field;
  if (!Array.isArray(value) || value.length !== all || item === undefined) return field;
  return { type, item, value: value.slice(0, blocks) };
}
