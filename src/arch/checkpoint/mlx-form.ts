import type { Container, TensorSource } from "../../../formats/container.js";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Role } from "../../role.js";
import type { Architecture } from "../architecture.js";
import { addPublished, cutStack } from "./stacked-experts.js";

// mlx-lm saves a model in the form in which it computes with it: experts stacked, convolutions with their channels last, a
// latent's keys and values apart, some modules under names of its own.

/** Of experts, by what mlx-lm's modules are called: those with a gate, and Nemotron's. */
const STACK = /^(.*)\.(?:switch_mlp|experts)\.(?:(gate|up|down)_proj|fc([12]))\.weight$/;
const ROLES: Readonly<Record<string, Role>> = {
  gate: "ffn_gate_exps",
  up: "ffn_up_exps",
  down: "ffn_down_exps",
  1: "ffn_up_exps",
  2: "ffn_down_exps",
};

/** Ends of names in mlx-lm's form, and as they were published. */
const RENAMED: readonly (readonly [string, string])[] = [
  [".self_attn.embed_q.weight", ".self_attn.k_b_proj.weight"],
  [".self_attn.unembed_out.weight", ".self_attn.v_b_proj.weight"],
  [".feed_forward.gate_proj.weight", ".feed_forward.w1.weight"],
  [".feed_forward.up_proj.weight", ".feed_forward.w3.weight"],
  [".feed_forward.down_proj.weight", ".feed_forward.w2.weight"],
  [".mlp.gate.gate_proj.weight", ".mlp.gate.weight"],
  [".mlp.gate.proj.weight", ".mlp.gate.weight"],
];

const CONVOLUTION = /\.(conv1d|conv)\.weight$/;

/**
 * The checkpoint as it was published, where it is in mlx-lm's form; nothing moves. Names that the family knows stay.
 * @throws LlqError `bad-input` for stacked experts of odd shapes or a tensor in both forms, `unsupported` for weights that mlx-lm has multiplied
 */
export function withoutMlxForm(container: Container, architecture: Architecture): Container {
  const known = new Map<string, Role>();
  for (const { role, source } of architecture.tensors) {
    for (const each of [source ?? []].flat()) known.set(patternOf(each), role);
  }
  let tensors: Map<string, TensorSource> | undefined; // a copy, when there is something to change
  let ofMlx = false;
  for (const [name, source] of container.tensors) {
    const convolution = CONVOLUTION.test(name) ? channelsFirst(source) : undefined;
    const parts = convolution ? [[name, convolution] as const] : published(container, known, name, source);
    if (parts.length === 0) continue;
    if (convolution !== undefined) {
      if (architecture.multipliedByMlx) throw multiplied(container, name);
      ofMlx = true;
    }
    tensors ??= new Map(container.tensors);
    tensors.delete(name);
    for (const [each, part] of parts) addPublished(container, tensors, name, each, part);
  }
  return tensors === undefined ? container : { ...container, tensors, ...(ofMlx && { ofMlx }) };
}

/** The tensor by the name that the family has for it; of a stack each of the experts. Nothing for names that stay. */
function published(
  container: Container,
  known: ReadonlyMap<string, Role>,
  name: string,
  source: TensorSource,
): readonly (readonly [string, TensorSource])[] {
  if (known.has(patternOf(name))) return [];
  for (const [from, to] of RENAMED) {
    if (!name.endsWith(from)) continue;
    const other = name.slice(0, -from.length) + to;
    if (known.has(patternOf(other))) return [[other, source]];
  }
  const [, module, gated, plain] = STACK.exec(name) ?? [];
  const role = ROLES[gated ?? plain ?? ""];
  if (module === undefined || role === undefined) return [];
  const prefix = `${patternOf(module)}.experts.#.`;
  const own = [...known].find(([pattern, each]) => each === role && pattern.startsWith(prefix));
  if (own === undefined) return [];
  return [...cutStack(container, name, source, [`${module}.experts.{e}.${own[0].slice(prefix.length)}`])];
}

function multiplied({ files }: Container, name: string): LlqError {
  const what = t`${files[0]}: ${name} is as mlx-lm saves it, which multiplies weights by what config.json says`;
  return new LlqError("unsupported", what, { hint: t`take the original checkpoint` });
}

/** A name with what it counts left out: `layers.3.` and `layers.{i}.` are `layers.#.`. */
function patternOf(name: string): string {
  return name.replace(/\.(\d+|\{[ie]\})(?=\.|$)/g, ".#");
}

/** [channels, width, 1] as PyTorch has it, [channels, 1, width]: the same numbers in the same order. */
function channelsFirst(source: TensorSource): TensorSource | undefined {
  const [channels, width, one] = source.shape;
  if (source.shape.length !== 3 || one !== 1 || width === 1 || source.strides !== undefined) return undefined;
  return { ...source, shape: [channels!, 1, width!] };
}
