import * as v from "valibot";
import { badInput, LlqError } from "../../../formats/errors.js";
import { faultsOf } from "../../../formats/faults.js";
import { t } from "../../language/t.js";

/** config.json's `quantization_config`: what is said of weights that are packed already. */
export interface Quantization {
  /** Name of the file, for messages. */
  readonly file: string;
  readonly method: string;
  readonly json: unknown;
}

/** A count of bits, columns or rows. */
export const wholeNumber = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 24));

/** Columns that share a scale; -1: all of them. */
export const groupSize = v.optional(v.union([v.literal(-1), wholeNumber]), -1);

const common = v.looseObject({
  quant_method: v.optional(v.string()),
  /** Rotations of compressed-tensors, which weights are to be read through. */
  transform_config: v.nullish(v.record(v.string(), v.unknown())),
});

/**
 * @param methods those that are known: their tensors are found by names, and others mean something else by them
 * @throws LlqError `bad-input` for one that is none, `unsupported` for other methods
 */
export function readQuantization(
  file: string,
  config: unknown,
  methods: readonly string[],
): Quantization | undefined {
  const whole = config as {
    quantization_config?: unknown;
    compression_config?: unknown;
    quantization?: unknown;
  };
  const json = whole.quantization_config ?? whole.compression_config ?? whole.quantization;
  if (json === undefined || json === null) return undefined;
  // MLX has what it says under two names, and neither with a method.
  const unnamed = whole.quantization ? "mlx" : "";
  const { quant_method: method = unnamed, transform_config: rotations } = readFields(common, { file, json });
  if (Object.keys(rotations ?? {}).length > 0) {
    throw new LlqError("unsupported", t`${file}: weights that a transform_config rotates`, {
      hint: t`take the original checkpoint`,
    });
  }
  if (methods.includes(method)) return { file, method, json };
  throw new LlqError("unsupported", t`${file}: weights quantized by ${method || t`an unnamed method`}`, {
    hint: t`supported are ${methods.join(", ")}; otherwise take the original checkpoint`,
  });
}

/** The fields that a schema has; others pass. @throws LlqError `bad-input` */
export function readFields<S>(
  schema: v.GenericSchema<unknown, S>,
  { file, json }: Pick<Quantization, "file" | "json">,
): S {
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const unknown = result.issues.find(
    ({ type, expected }) => type === "strict_object" && expected === "never",
  );
  if (unknown !== undefined) {
    throw new LlqError(
      "unsupported",
      t`${file}: quantization_config has ${v.getDotPath(unknown)}, which may change weights`,
      {
        hint: t`take the original checkpoint`,
      },
    );
  }
  throw badInput(t`${file}: quantization_config: ${faultsOf(result.issues)}`);
}
