import type { Coding, RawSource, TensorSource } from "../../../../formats/container.js";
import { badInput } from "../../../../formats/errors.js";
import { t } from "../../../language/t.js";
import { rowLength } from "../../../tensor.js";
import { type Layout, unpackBits, unpackRows, wordsFor } from "../bits.js";
import { groupOfColumns, scaleGroups } from "../groups.js";
import type { Packing } from "../packing.js";
import { codedSource, type Parts, wordSource } from "../parts.js";
import type { Reader } from "../reader.js";
import { type CompressedTensors, compressedTensors, type Scheme, schemeOf } from "./config.js";

/**
 * Words [out, in × bits / 32] of numbers and, unless they are symmetric, zeros [out × bits / 32, groups];
 * w = scale × (q - zero), where a symmetric one's zero is 2^(bits - 1).
 */
export interface PackQuantizedCoding extends Coding {
  readonly kind: "pack-quantized";
  readonly layout: Layout;
  readonly words: TensorSource;
  readonly zeros: TensorSource | undefined;
  /** [out, groups], or [1, 1]. */
  readonly scales: TensorSource;
  /** A column's group (words [1, in]), where that is not its number divided by the size. */
  readonly groups: TensorSource | undefined;
  readonly groupSize: number;
  /** The weight's own shape, two 64-bit numbers. */
  readonly shape: TensorSource;
}

export const packQuantized: Packing<PackQuantizedCoding, CompressedTensors> = {
  kind: "pack-quantized",
  title: "compressed-tensors",
  methods: ["compressed-tensors"],
  fields: compressedTensors,
  across: false,
  typeOf: ({ layout: { bits } }) => `INT${bits}`,
  weightOf: (name, { type }) =>
    type === "I32" && name.endsWith(".weight_packed") ? name.replace(/_packed$/, "") : undefined,

  locate(parts, name, raw, settings) {
    const module = name.replace(/\.weight_packed$/, "");
    const part = (suffix: string) => `${module}.weight_${suffix}`;
    const [rows, words] = parts.integers(name, raw, 2) as [number, number];
    const scale = parts.take(part("scale"));
    const shape = parts.raw(part("shape"));
    if (scale === undefined) return parts.fail(t`${module} has no weight_scale`);
    if (shape?.type !== "I64" || shape.shape.join() !== "2")
      return parts.fail(t`${module} has no weight_shape`);
    const [down, groups] =
      scale.shape.length === 2 ? (scale.shape as [number, number]) : [scale.shape[0] ?? 1, 1];
    const zeros = parts.raw(part("zero_point"));
    const sizes = (scheme: Scheme) =>
      columnsOf(parts, module, scheme, { words, groups, version: settings.version });
    const scheme = schemeOf(parts, settings, module, (each) => {
      if (each.type !== "int" || each.bits < 2 || each.bits > 8) return false;
      if (each.symmetric !== (zeros === undefined)) return false;
      if (down !== (each.rows === undefined ? 1 : rows)) return false;
      return (each.rows ?? 1) === 1 && sizes(each) !== undefined;
    });
    const { columns, layout } = sizes(scheme)!;
    const order = parts.raw(part("g_idx"));
    if (order !== undefined && parts.integers(part("g_idx"), order, 1)[0] !== columns) {
      parts.fail(t`${part("g_idx")} has ${order.shape[0]} columns of ${columns}`);
    }
    return codedSource<PackQuantizedCoding>(raw, [rows, columns], {
      kind: "pack-quantized",
      layout,
      words: wordSource(raw),
      zeros: zeros && zeroSource(parts, part("zero_point"), zeros, [wordsFor(layout, rows), groups]),
      scales: { ...scale, shape: [down, groups] },
      groups: order && wordSource({ ...order, shape: [1, columns] }),
      groupSize: scheme.columns ?? columns,
      shape: wordSource({ ...shape, shape: [1, 4] }),
    });
  },

  decode(reader, { layout, words, zeros, scales, groups, groupSize, shape }, { source, first, count, dst }) {
    const columns = rowLength(source);
    checkShape(reader, shape, source.shape);
    const groupCount = rowLength(scales);
    const group = groupOfColumns(reader, groupCount, groupSize, groups);
    const single = scales.shape[0] === 1 && source.shape[0] !== 1;
    const scale = reader.floats(scales, single ? 0 : first, single ? 1 : count);
    const zero =
      zeros === undefined
        ? new Float32Array(count * groupCount).fill(2 ** (layout.bits - 1))
        : unpackRows(reader, layout, zeros, first, count);
    const wordsInRow = rowLength(words);
    if (isNibbles(layout, group)) {
      const { kernels } = reader;
      const place = (values: Float32Array) => {
        const address = kernels.reserve(values.byteLength);
        kernels.floats(address, values.length).set(values);
        return address;
      };
      const [scalesAt, zerosAt] = [place(scale), place(zero)];
      const q = reader.words(words, first, count).byteOffset;
      for (let r = 0; r < count; r++) {
        const [at, table] = [dst + r * columns * 4, r * groupCount * 4];
        const own = scalesAt + (single ? 0 : table);
        kernels.call("scale_nibbles")(q + r * wordsInRow * 4, at, columns, group, own, zerosAt + table);
      }
      return;
    }
    const q = reader.words(words, first, count);
    const x = reader.kernels.floats(dst, count * columns);
    for (let r = 0; r < count; r++) {
      const row = x.subarray(r * columns, (r + 1) * columns);
      unpackBits(layout, q, r * wordsInRow, row);
      scaleGroups(row, scale, zero, { scale: single ? 0 : r * groupCount, zero: r * groupCount }, group);
    }
  },
};

/** Whether a kernel decodes such numbers, in groups of so many columns: by far the most are such. */
function isNibbles({ bits, perWord }: Layout, group: Uint32Array | number): group is number {
  return bits === 4 && perWord === 8 && typeof group === "number" && group % 32 === 0;
}

interface Widths {
  readonly words: number;
  readonly groups: number;
  readonly version: string | null | undefined;
}

/**
 * How many columns a scheme makes of so many words and groups, and how they lie; undefined where it makes none. Before
 * 0.18.0 no number began in one word and ended in the next, and mostly the width tells.
 */
function columnsOf(
  parts: Parts,
  module: string,
  { bits, columns: size }: Scheme,
  { words, groups, version }: Widths,
): { columns: number; layout: Layout } | undefined {
  const perWord = Math.floor(32 / bits);
  const whole = 32 % bits === 0;
  if (size === undefined && groups !== 1) return undefined;
  if (size === undefined && !whole && words % bits !== 0) return undefined;
  const columns = size === undefined ? (words * 32) / bits : size * groups;
  const spaced = wordsFor({ bits, perWord }, columns) === words;
  const dense = wordsFor({ bits }, columns) === words;
  if (whole && dense) return { columns, layout: { bits, perWord } };
  if (spaced && dense)
    return { columns, layout: isDense(parts, module, version) ? { bits } : { bits, perWord } };
  if (spaced) return { columns, layout: { bits, perWord } };
  return dense ? { columns, layout: { bits } } : undefined;
}

function isDense(parts: Parts, module: string, version: string | null | undefined): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)\./.exec(version ?? "") ?? [];
  if (minor === undefined) {
    return parts.unsupported(
      t`${module} is packed by an unknown version`,
      t`a quantization_config that has the version`,
    );
  }
  return Number(major) > 0 || Number(minor) >= 18;
}

function zeroSource(parts: Parts, name: string, raw: RawSource, shape: readonly number[]): TensorSource {
  if (parts.integers(name, raw, 2).join() === shape.join()) return wordSource(raw);
  return parts.fail(t`${name} is ${raw.shape.join(" x ")}; ${shape.join(" x ")} were expected`);
}

function checkShape(reader: Reader, stored: TensorSource, shape: readonly number[]): void {
  const [rows, highRows, columns, highColumns] = reader.words(stored, 0, 1);
  if (rows === shape[0] && columns === shape[1] && highRows === 0 && highColumns === 0) return;
  throw badInput(
    t`tensor ${reader.name}: weight_shape says ${rows} x ${columns}; ${shape.join(" x ")} numbers are packed`,
    t`damaged, or columns that do not fill their last word, which are not supported`,
  );
}
