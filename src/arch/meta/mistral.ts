import type { Container, TensorSource } from "../../../formats/container.js";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { unpackWeights } from "../../rows/packed/index.js";

// The forms that Mistral's own checkpoints come in, beside Meta's: each tensor whole in one of the files, experts one by one
// or all in one matrix, 8-bit floats.

/** What is no part of the language model. */
const OTHER_PARTS = /^(vision_encoder|vision_language_adapter|patch_merger|pre_mm_projector_norm)\./;

/** Matrices of all experts below each other: `layers.0.block_sparse_moe.w1`. */
const STACKED = /^(layers\.\d+)\.block_sparse_moe\.(w[123])$/;
const FIRST_ROUTER = /^(layers\.\d+)\.block_sparse_moe\.gate\.weight$/;

/**
 * The files as one, when no tensor is in several of them; then they are no parts of matrices.
 * @param config as a Hugging Face folder would have it
 * @throws LlqError as unpackWeights does
 */
export function joinWhole(
  shards: readonly Container[],
  file: string,
  config: Readonly<Record<string, unknown>>,
): Container | undefined {
  const names = shards.flatMap(({ tensors }) => [...tensors.keys()]);
  if (new Set(names).size < names.length) return undefined;
  const all = <T>(of: (shard: Container) => ReadonlyMap<string, T> | undefined) =>
    shards.flatMap((shard, i) =>
      [...(of(shard) ?? [])].map(([name, each]) => [i, renamed(name), each] as const),
    );
  const leftOut = names.filter((name) => OTHER_PARTS.test(name));
  const isOwn = ([, name]: readonly [number, string, unknown]) =>
    !OTHER_PARTS.test(name) && !name.endsWith(".qscale_act");
  const whole = {
    ...shards[0]!,
    files: shards.flatMap(({ files }) => files),
    tensors: new Map(
      all(({ tensors }) => tensors)
        .filter(isOwn)
        .map(([i, name, each]) => [name, { ...each, file: i }]),
    ),
    opaque: new Map(
      all(({ opaque }) => opaque)
        .filter(isOwn)
        .map(([, name, each]) => [name, each]),
    ),
    raw: new Map(
      all(({ raw }) => raw)
        .filter(isOwn)
        .map(([i, name, each]) => [name, { ...each, file: i }]),
    ),
    ...(leftOut.length > 0 && { leftOut }),
  };
  return withExperts(unpackWeights(whole, file, config), config);
}

/** By the names of today, and scales by those that packed weights have elsewhere. */
function renamed(name: string): string {
  return name
    .replace(FIRST_ROUTER, "$1.feed_forward.gate.weight")
    .replace(/\.qscale_weight$/, ".weight_scale");
}

/** Each expert's matrix by itself, as later files have them: the second is transposed where they are one matrix. */
function withExperts(
  container: Container,
  { num_local_experts: experts }: Readonly<Record<string, unknown>>,
): Container {
  if (typeof experts !== "number") return container;
  const tensors = [...container.tensors].flatMap(([name, source]): [string, TensorSource][] => {
    const [, block, matrix] = STACKED.exec(name) ?? [];
    if (matrix === undefined) return [[name, source]];
    const { shape, strides, coded } = source;
    const [rows = 0, columns = 0] = shape;
    if (shape.length !== 2 || rows % experts !== 0 || strides !== undefined || coded !== undefined) {
      throw badInput(t`tensor ${name} is ${shape.join(" x ")}, no matrices of ${experts} experts`);
    }
    const [length, byteLength] = [rows / experts, source.byteLength / experts];
    const own =
      matrix === "w2" ? { shape: [columns, length], strides: [1, columns] } : { shape: [length, columns] };
    return Array.from({ length: experts }, (_, e) => [
      `${block}.feed_forward.experts.${e}.${matrix}.weight`,
      { ...source, ...own, offset: source.offset + e * byteLength, byteLength },
    ]);
  });
  return { ...container, tensors: new Map(tensors) };
}
