import type { Container, TensorSource } from "../../../formats/container.js";
import { byteLength } from "../../../formats/dtype.js";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { RowBlocksCoding } from "../../rows/packed/row-blocks.js";
import type { Architecture } from "../architecture.js";
import type { HParams } from "../hparams.js";

/** What makes keys and values of a latent: below each other for each head, the key's rows first. */
const BOTH = /^(.*\.)kv_b_proj\.weight$/;

/** What a checkpoint calls the tensor that one of the table is a part of. */
export function storedName(name: string): string {
  return name.replace(/\.[kv]_b_proj\.weight$/, ".kv_b_proj.weight");
}

/**
 * The checkpoint with `k_b_proj` [heads, rank, key] and `v_b_proj` [heads, value, rank] in place of `kv_b_proj`, as GGUF
 * has them, where the family has these: queries then meet the latent itself. Nothing moves: both are views; of what is
 * packed, each head's rows are decoded as a whole.
 * @throws LlqError `bad-input` for another shape
 */
export function withoutLatentPairs(
  container: Container,
  { tensors: rows }: Architecture,
  { headCount: heads, latent, ropeDimensionCount }: HParams,
): Container {
  if (latent.rank === 0 || latent.isWhole || rows.every(({ role }) => role !== "attn_k_b")) return container;
  const [key, value] = [latent.keyLength - ropeDimensionCount, latent.valueLength];
  const tensors = new Map(container.tensors);
  for (const [name, source] of container.tensors) {
    const prefix = BOTH.exec(name)?.[1];
    if (prefix === undefined) continue;
    const [all, rank] = source.shape;
    if (source.shape.length !== 2 || all !== heads * (key + value) || rank !== latent.rank) {
      const wanted = `${heads * (key + value)} x ${latent.rank}`;
      throw badInput(
        t`tensor ${name} is ${source.shape.join(" x ")}; the configuration asks for ${wanted}`,
        t`the checkpoint and its configuration do not belong together`,
      );
    }
    tensors.delete(name);
    const part = isPlain(source) ? view : block;
    tensors.set(`${prefix}k_b_proj.weight`, part(source, 0, [heads, rank, key], true));
    tensors.set(`${prefix}v_b_proj.weight`, part(source, key, [heads, value, rank], false));
  }
  return { ...container, tensors };

  /** Of each head's rows those from `first` on, or their columns: elements that lie so many from each other. */
  function view(
    source: TensorSource,
    first: number,
    shape: readonly [number, number, number],
    turned: boolean,
  ): TensorSource {
    const stride = (key + value) * latent.rank;
    const rows = turned ? shape[2] : shape[1];
    return {
      ...source,
      offset: source.offset + byteLength(source.dtype, [first, latent.rank]),
      byteLength: byteLength(source.dtype, [(heads - 1) * stride + rows * latent.rank]),
      shape,
      strides: [stride, ...(turned ? [1, latent.rank] : [latent.rank, 1])],
    };
  }

  /** The same of what has to be decoded first. */
  function block(
    source: TensorSource,
    first: number,
    shape: readonly [number, number, number],
    turned: boolean,
  ): TensorSource {
    const rows = turned ? shape[2] : shape[1];
    const coded: RowBlocksCoding = {
      kind: "rowBlocks",
      base: source,
      stride: key + value,
      first,
      rows,
      turned,
    };
    const { file, offset, byteLength } = source;
    return { file, offset, byteLength, dtype: "F32", shape, coded };
  }
}

/** Whether rows are found by counting elements. */
function isPlain({ coded, strides, runs }: TensorSource): boolean {
  return coded === undefined && strides === undefined && runs === undefined;
}
