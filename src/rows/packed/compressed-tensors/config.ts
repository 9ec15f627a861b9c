import * as v from "valibot";
import { boundedExpression } from "../../../expression.js";
import { t } from "../../../language/t.js";
import { wholeNumber } from "../config.js";
import type { Parts } from "../parts.js";

// quantization_config of compressed-tensors: groups of modules, each with its own numbers of bits and scales.

const anything = v.optional(v.unknown());

const blockStructure = v.union([
  v.tuple([wholeNumber, wholeNumber]),
  v.pipe(
    v.string(),
    v.regex(/^\d{1,5}x\d{1,5}$/),
    v.transform((text) => text.split("x").map(Number) as [number, number]),
    v.tuple([wholeNumber, wholeNumber]),
  ),
]);

const weightArguments = v.strictObject({
  num_bits: v.optional(wholeNumber, 8),
  type: v.optional(v.string(), "int"),
  symmetric: v.optional(v.boolean(), true),
  group_size: v.nullish(v.union([v.literal(-1), wholeNumber])),
  strategy: v.nullish(v.string()),
  block_structure: v.nullish(blockStructure),
  dynamic: v.nullish(v.literal(false)),
  // how the numbers were found, or what the tensors say themselves
  actorder: anything,
  scale_dtype: anything,
  zp_dtype: anything,
  observer: anything,
  observer_kwargs: anything,
});

const group = v.strictObject({
  targets: v.array(v.string()),
  weights: v.nullish(weightArguments),
  input_activations: anything,
  output_activations: anything,
  format: v.nullish(v.string()),
});

/** Fields that change what a weight is have to be known, so others are refused. */
export const compressedTensors = v.strictObject({
  quant_method: anything,
  version: v.nullish(v.string()),
  format: v.nullish(v.string()),
  config_groups: v.optional(v.record(v.string(), group), {}),
  sparsity_config: v.nullish(v.looseObject({ format: v.nullish(v.string()) })),
  transform_config: anything,
  ignore: anything,
  quantization_status: anything,
  global_compression_ratio: anything,
  kv_cache_scheme: anything,
  moe_sparsity_config: anything,
  run_compressed: anything,
});

export type CompressedTensors = v.InferOutput<typeof compressedTensors>;

type Arguments = v.InferOutput<typeof weightArguments>;

/** What a module's weight is made of. */
export interface Scheme {
  readonly bits: number;
  readonly type: string;
  readonly symmetric: boolean;
  readonly format: string | undefined;
  /** Rows and columns of one scale; undefined: all of them. */
  readonly rows: number | undefined;
  readonly columns: number | undefined;
}

/**
 * The one scheme that a module can have: of the groups that name it or, when none does, of all, those whose tensors it has.
 * @param fits whether the module's tensors are of a scheme
 * @throws LlqError `unsupported` when none is or several are
 */
export function schemeOf(
  parts: Parts,
  settings: CompressedTensors,
  module: string,
  fits: (scheme: Scheme) => boolean,
): Scheme {
  refuseSparse(parts, settings);
  const groups = Object.values(settings.config_groups).filter(({ weights }) => weights != null);
  // one group is everyone's, whatever its expressions
  const named =
    groups.length < 2
      ? []
      : groups.filter(({ targets }) => targets.some((each) => isNamed(parts, module, each)));
  const schemes = new Map<string, Scheme>();
  for (const { weights, format } of named.length > 0 ? named : groups) {
    const scheme = toScheme(parts, weights!, format ?? settings.format ?? undefined);
    if (fits(scheme)) schemes.set(JSON.stringify({ ...scheme, format: undefined }), scheme);
  }
  const [scheme, other] = schemes.values();
  const what =
    other === undefined ? t`no config_group of its shapes` : t`several config_groups of its shapes`;
  if (scheme === undefined || other !== undefined) {
    return parts.unsupported(t`${module} is packed and has ${what}`, t`one for each module`);
  }
  return scheme;
}

function refuseSparse(parts: Parts, { format, sparsity_config: sparsity }: CompressedTensors): void {
  const sparse = [sparsity?.format ?? "dense", format ?? "dense"].find((each) => /sparse|marlin/.test(each));
  if (sparse !== undefined)
    parts.unsupported(t`weights compressed as ${sparse}`, t`weights that are all there`);
}

/** As match_name of compressed-tensors: a whole name, or an expression for how it begins. */
function isNamed(parts: Parts, module: string, target: string): boolean {
  if (!target.startsWith("re:")) return target === module;
  const bounded = boundedExpression(target.slice(3), (source) => `^(?:${source})`);
  return (
    bounded?.test(module) ?? parts.unsupported(t`targets ${JSON.stringify(target)}`, t`simple expressions`)
  );
}

function toScheme(parts: Parts, args: Arguments, format: string | undefined): Scheme {
  const { num_bits: bits, type, symmetric, group_size: size, block_structure: block } = args;
  const strategy =
    args.strategy ??
    (size != null && size > 0 ? "group" : size === -1 ? "channel" : block != null ? "block" : "tensor");
  const common = { bits, type, symmetric, format };
  if (strategy === "tensor") return { ...common, rows: undefined, columns: undefined };
  if (strategy === "channel") return { ...common, rows: 1, columns: undefined };
  if (strategy === "block" && block != null) return { ...common, rows: block[0], columns: block[1] };
  if ((strategy === "group" || strategy === "tensor_group") && size != null && size > 0) {
    return { ...common, rows: 1, columns: size };
  }
  return parts.unsupported(t`weights scaled by ${strategy}`, t`tensor, channel, group and block`);
}
