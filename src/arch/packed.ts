import * as v from "valibot";
import type { Coding, Container, RawSource, SmallType, TensorSource } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { transposed } from "./transposed.js";

const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 24));

/** What config.json says of weights that are quantized already. Unknown fields pass. */
const schema = v.looseObject({
  quant_method: v.optional(v.string()),
  bits: v.optional(count),
  /** -1: one group for all columns. */
  group_size: v.optional(v.union([v.literal(-1), count])),
  checkpoint_format: v.nullish(v.string()),
  version: v.nullish(v.string()),
  weight_block_size: v.nullish(v.tuple([count, count])),
  /** Rotations of compressed-tensors, which weights are to be read through. */
  transform_config: v.nullish(v.record(v.string(), v.unknown())),
});

type Quantization = v.InferOutput<typeof schema>;

/** Methods whose tensors are known by their names; others mean something else by them, or are not supported. */
const METHODS = ["gptq", "awq", "fp8", "fbgemm_fp8", "compressed-tensors", "modelopt"];

/** Beside each weight: scales of what runs through it, which a file of weights has no place for. */
const ACTIVATION_SCALES = /\.(input_scale|activation_scale|output_scale|[qkv]_scale)$/;

/**
 * The checkpoint with weights in place of what they are packed in: 8-bit floats or integers with scales, GPTQ, AWQ.
 * Nothing is read but the tensors' places; a packed weight says how its rows are decoded (TensorSource.coded).
 * @param json config.json, whose `quantization_config` describes the packing
 * @throws LlqError `unsupported` for packings of other kinds, `bad-input` when parts are missing or do not fit
 */
export function unpackWeights(container: Container, file: string, json: unknown): Container {
  const quantization = readQuantization(file, json);
  const parts = new Parts(container);
  for (const [name, raw] of container.raw ?? []) {
    const stem = /^(.*)\.(qweight|weight_packed)$/.exec(name)?.[1];
    if (stem !== undefined) parts.add(`${stem}.weight`, packed(parts, stem, raw, quantization));
    else if (raw.type in SMALL && name.endsWith(".weight")) {
      parts.add(name, scaled(parts, name, raw, quantization));
    }
  }
  if (quantization !== undefined) parts.drop(ACTIVATION_SCALES);
  return parts.container();
}

const SMALL: Readonly<Record<SmallType, true>> = { F8_E4M3: true, F8_E5M2: true, I8: true };

function readQuantization(file: string, json: unknown): Quantization | undefined {
  const whole = json as { quantization_config?: unknown; compression_config?: unknown };
  const found = whole.quantization_config ?? whole.compression_config;
  if (found === undefined || found === null) return undefined;
  const result = v.safeParse(schema, found);
  if (!result.success) {
    const faults = result.issues.map((issue) => `${v.getDotPath(issue) ?? "the whole"}: ${issue.message}`);
    throw badInput(`${file}: quantization_config: ${faults.join("; ")}`);
  }
  if (Object.keys(result.output.transform_config ?? {}).length > 0) {
    throw new LlqError("unsupported", `${file}: weights that a transform_config rotates`, {
      hint: "take the original checkpoint",
    });
  }
  const method = result.output.quant_method ?? "";
  if (METHODS.includes(method)) return result.output;
  throw new LlqError("unsupported", `${file}: weights quantized by ${method || "an unnamed method"}`, {
    hint: `supported are ${METHODS.join(", ")}; otherwise take the original checkpoint`,
  });
}

/** The tensors of a checkpoint, while packed ones are replaced. */
class Parts {
  readonly where: string;
  readonly #container: Container;
  readonly #tensors: Map<string, TensorSource>;

  constructor(container: Container) {
    this.where = container.files[0] ?? "the checkpoint";
    this.#container = container;
    this.#tensors = new Map(container.tensors);
  }

  add(name: string, source: TensorSource): void {
    if (this.#tensors.has(name)) throw badInput(`${this.where}: ${name} is there packed and not packed`);
    this.#tensors.set(name, source);
  }

  /** Floats that belong to a packed weight: taken out of the checkpoint's own. */
  take(name: string): TensorSource | undefined {
    const found = this.#tensors.get(name);
    this.#tensors.delete(name);
    return found;
  }

  raw(name: string): RawSource | undefined {
    return this.#container.raw?.get(name);
  }

  drop(names: RegExp): void {
    for (const name of this.#tensors.keys()) if (names.test(name)) this.#tensors.delete(name);
  }

  fail(message: string): never {
    throw badInput(
      `${this.where}: ${message}`,
      "the checkpoint is incomplete, or its config.json is of another",
    );
  }

  container(): Container {
    return { ...this.#container, tensors: this.#tensors };
  }
}

/** 8-bit numbers with one scale in all, one a row, or one a block: q × scale, whatever `inv` in the name says. */
function scaled(
  parts: Parts,
  name: string,
  raw: RawSource,
  quantization: Quantization | undefined,
): TensorSource {
  const [rows, columns] = raw.shape;
  if (rows === undefined || columns === undefined || raw.shape.length > 2) {
    throw new LlqError(
      "unsupported",
      `${parts.where}: ${name} is ${raw.type} of shape ${raw.shape.join(" x ")}`,
      {
        hint: "8-bit weights are supported as matrices",
      },
    );
  }
  const names = [`${name}_scale_inv`, `${name}_scale`];
  const [found] = names.map((each) => parts.take(each)).filter((each) => each !== undefined);
  const zero = `${name}_zero_point`;
  if (parts.raw(zero) !== undefined || parts.take(zero) !== undefined) {
    throw new LlqError("unsupported", `${parts.where}: ${name} has zero points`, {
      hint: "8-bit weights are supported with scales alone; take the original checkpoint",
    });
  }
  const type = raw.type as SmallType;
  if (found === undefined) {
    if (quantization !== undefined || type === "I8")
      parts.fail(`${name} is ${type} and has no ${names.join(" or ")}`);
    return located(raw, { kind: "scaled", type });
  }
  const scale = scaleBlocks(parts, name, [rows, columns], found, quantization?.weight_block_size);
  return located(raw, { kind: "scaled", type, scale });
}

function scaleBlocks(
  parts: Parts,
  name: string,
  [rows, columns]: readonly [number, number],
  source: TensorSource,
  block: readonly [number, number] | null | undefined,
): { source: TensorSource; rows: number; columns: number } {
  const across = source.shape.length === 2 ? source.shape[1]! : 1;
  const down = source.shape.length === 0 ? 1 : source.shape[0]!;
  const matrix = { ...source, shape: [down, across] };
  if (source.shape.length <= 2) {
    if (down === 1 && across === 1) return { source: matrix, rows, columns };
    if (down === rows && across === 1) return { source: matrix, rows: 1, columns };
    const [blockRows, blockColumns] = block ?? [128, 128];
    if (down === Math.ceil(rows / blockRows) && across === Math.ceil(columns / blockColumns)) {
      return { source: matrix, rows: blockRows, columns: blockColumns };
    }
  }
  return parts.fail(`the scales of ${name}, ${rows} x ${columns}, are ${source.shape.join(" x ")}`);
}

function packed(
  parts: Parts,
  stem: string,
  words: RawSource,
  quantization: Quantization | undefined,
): TensorSource {
  const method = quantization?.quant_method;
  if (method === "gptq") return gptq(parts, stem, words, quantization!);
  if (method === "awq") return awq(parts, stem, words, quantization!);
  throw new LlqError(
    "unsupported",
    `${parts.where}: ${stem} is packed in integers by ${method ?? "no known method"}`,
    {
      hint:
        quantization === undefined
          ? "config.json has no quantization_config; older files have it in quantize_config.json: copy it there, with quant_method"
          : "GPTQ and AWQ are supported; take the original checkpoint",
    },
  );
}

function gptq(parts: Parts, stem: string, words: RawSource, quantization: Quantization): TensorSource {
  const { bits, group_size: size = -1, checkpoint_format: format } = quantization;
  if (bits !== 2 && bits !== 4 && bits !== 8)
    return unsupported(parts, `GPTQ with ${bits ?? "unknown"} bits`, "2, 4 and 8");
  if (format != null && format !== "gptq" && format !== "gptq_v2") {
    return unsupported(parts, `GPTQ in the format ${format}`, "gptq and gptq_v2");
  }
  const pack = 32 / bits;
  const [wordRows, rows] = integers(parts, `${stem}.qweight`, words, 2) as [number, number];
  const columns = wordRows * pack;
  const groupSize = size === -1 ? columns : size;
  const { zeros, scales } = groupTables(parts, stem, rows, Math.ceil(columns / groupSize), pack);
  const order = parts.raw(`${stem}.g_idx`);
  if (order !== undefined) {
    const [length] = integers(parts, `${stem}.g_idx`, order, 1);
    if (length !== columns) parts.fail(`${stem}.g_idx has ${length} columns of ${columns}`);
  }
  return located(
    { ...words, shape: [rows, columns] },
    {
      kind: "gptq",
      bits,
      words: transposedWords(words),
      zeros: transposedWords(zeros),
      zeroOffset: format === "gptq_v2" ? 0 : 1,
      scales: transposed(scales),
      groups: order && wordsOf({ ...order, shape: [1, columns] }),
      groupSize,
    },
  );
}

function awq(parts: Parts, stem: string, words: RawSource, quantization: Quantization): TensorSource {
  const { bits, group_size: size = -1, version } = quantization;
  if (bits !== 4) return unsupported(parts, `AWQ with ${bits ?? "unknown"} bits`, "4");
  if (version != null && version.toLowerCase() !== "gemm") {
    return unsupported(parts, `AWQ packed for ${version}`, "gemm");
  }
  const [columns, wordColumns] = integers(parts, `${stem}.qweight`, words, 2) as [number, number];
  const rows = wordColumns * 8;
  const groupSize = size === -1 ? columns : size;
  const { zeros, scales } = groupTables(parts, stem, rows, Math.ceil(columns / groupSize), 8);
  return located(
    { ...words, shape: [rows, columns] },
    {
      kind: "awq",
      words: transposedWords(words),
      zeros: transposedWords(zeros),
      scales: transposed(scales),
      groupSize,
    },
  );
}

/** qzeros, packed along the rows of the weight, and scales, a line for each group of columns. */
function groupTables(parts: Parts, stem: string, rows: number, groups: number, pack: number) {
  const [zeros, scales] = [parts.raw(`${stem}.qzeros`), parts.take(`${stem}.scales`)];
  if (zeros === undefined || scales === undefined) return parts.fail(`${stem} has no qzeros or no scales`);
  const shapeOfZeros = integers(parts, `${stem}.qzeros`, zeros, 2);
  if (rows % pack !== 0 || shapeOfZeros.join() !== [groups, rows / pack].join()) {
    parts.fail(
      `${stem}.qzeros is ${zeros.shape.join(" x ")}; ${groups} groups of ${rows} rows were expected`,
    );
  }
  if (scales.shape.join() !== [groups, rows].join()) {
    parts.fail(`${stem}.scales is ${scales.shape.join(" x ")}; ${groups} x ${rows} were expected`);
  }
  return { zeros, scales };
}

function integers(parts: Parts, name: string, { type, shape }: RawSource, rank: number): readonly number[] {
  if (type === "I32" && shape.length === rank && shape.every((length) => length > 0)) return shape;
  return parts.fail(
    `${name} is ${type} of shape ${shape.join(" x ")}; I32 of ${rank} dimensions was expected`,
  );
}

function unsupported(parts: Parts, what: string, known: string): never {
  throw new LlqError("unsupported", `${parts.where}: ${what}`, {
    hint: `supported: ${known}; otherwise take the original checkpoint`,
  });
}

function located({ file, offset, byteLength, shape }: RawSource, coded: Coding): TensorSource {
  return { file, offset, byteLength, dtype: "F32", shape, coded };
}

function wordsOf({ file, offset, byteLength, shape }: RawSource): TensorSource {
  return { file, offset, byteLength, dtype: "F32", shape };
}

function transposedWords(raw: RawSource): TensorSource {
  return transposed(wordsOf(raw));
}
