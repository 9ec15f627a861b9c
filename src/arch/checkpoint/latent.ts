import type { Container, TensorSource } from "../../../formats/container.js";
import { byteLength } from "../../../formats/dtype.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import type { Architecture } from "../architecture.js";
import type { HParams } from "../hparams.js";

/** What makes keys and values of a latent: below each other for each head, the key's rows first. */
const BOTH = /^(.*\.)kv_b_proj\.weight$/;

/**
 * The checkpoint with `k_b_proj` [heads, rank, key] and `v_b_proj` [heads, value, rank] in place of `kv_b_proj`, as GGUF
 * has them, where the family has these: queries then meet the latent itself. Nothing moves: both are views.
 * @throws LlqError `bad-input` for another shape, `unsupported` for packed ones
 */
export function withoutLatentPairs(
  container: Container,
  { tensors: rows }: Architecture,
  { headCount: heads, latent, ropeDimensionCount }: HParams,
): Container {
  if (latent.rank === 0 || rows.every(({ role }) => role !== "attn_k_b")) return container;
  const [key, value] = [latent.keyLength - ropeDimensionCount, latent.valueLength];
  const tensors = new Map(container.tensors);
  for (const [name, source] of container.tensors) {
    const prefix = BOTH.exec(name)?.[1];
    if (prefix === undefined) continue;
    const [all, rank] = source.shape;
    if (source.shape.length !== 2 || all !== heads * (key + value) || rank !== latent.rank) {
      const wanted = `${heads * (key + value)} x ${latent.rank}`;
      throw badInput(
        `tensor ${name} is ${source.shape.join(" x ")}; the configuration asks for ${wanted}`,
        "the checkpoint and its configuration do not belong together",
      );
    }
    tensors.delete(name);
    tensors.set(`${prefix}k_b_proj.weight`, view(name, source, 0, [heads, rank, key], [1, rank]));
    tensors.set(`${prefix}v_b_proj.weight`, view(name, source, key, [heads, value, rank], [rank, 1]));
  }
  return { ...container, tensors };

  function view(
    name: string,
    source: TensorSource,
    first: number,
    shape: readonly [number, number, number],
    inner: readonly [number, number],
  ): TensorSource {
    if (source.coded !== undefined || source.strides !== undefined || source.runs !== undefined) {
      throw new LlqError("unsupported", `tensor ${name} is packed or a view, and its columns become rows`, {
        hint: "take a checkpoint in BF16",
      });
    }
    const stride = (key + value) * latent.rank;
    const elements = (heads - 1) * stride + (inner[0] === 1 ? shape[2] : shape[1]) * latent.rank;
    const offset = source.offset + byteLength(source.dtype, [first, latent.rank]);
    return {
      ...source,
      offset,
      byteLength: byteLength(source.dtype, [elements]),
      shape,
      strides: [stride, ...inner],
    };
  }
}
