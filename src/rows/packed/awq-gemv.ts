import type { Coding, TensorSource } from "../../../formats/container.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import { transposed } from "../transposed.js";
import { type AwqFields, awqFields, checkAwq } from "./awq.js";
import { unpackBits } from "./bits.js";
import { scaleGroups, weightOfQweight } from "./groups.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts, wordSource } from "./parts.js";

// AWQ in the orders that its kernels for one token read: a row of the file is rows of the weight. Scales and zeros are
// padded to whole words.

const PER_WORD = 8;

/** Words [out, in / 8] and zeros [out, groups / 8], lowest bits first, scales [out, padded groups]. */
export interface AwqGemvCoding extends Coding {
  readonly kind: "awq-gemv";
  readonly zeros: TensorSource;
  readonly scales: TensorSource;
  readonly groupSize: number;
}

export const awqGemv: Packing<AwqGemvCoding, AwqFields> = {
  kind: "awq-gemv",
  title: "AWQ",
  methods: ["awq"],
  fields: awqFields,
  across: false,
  typeOf: () => "AWQ-4",
  weightOf: (name, { type, shape }, parts) => {
    const zeros = parts.raw(name.replace(/qweight$/, "qzeros"))?.shape;
    // for many tokens zeros have the columns of the words, here their rows
    const isOfRows = type === "I32" && zeros?.[0] === shape[0] && zeros?.[1] !== shape[1];
    return isOfRows ? weightOfQweight(name) : undefined;
  },

  locate(parts, name, raw, settings) {
    checkAwq(parts, settings, ["gemv"]);
    const stem = name.replace(/\.qweight$/, "");
    const [rows, words] = parts.integers(name, raw, 2) as [number, number];
    const columns = words * PER_WORD;
    const { size, groups } = groupsOf(parts, name, columns, settings);
    const zeros = parts.raw(`${stem}.qzeros`)!;
    const scales = parts.take(`${stem}.scales`);
    const [, zeroWords] = parts.integers(`${stem}.qzeros`, zeros, 2) as [number, number];
    const padded = zeroWords * PER_WORD;
    if (scales?.shape.join() !== [rows, padded].join() || padded < groups) {
      const what = scales === undefined ? t`missing` : scales.shape.join(" x ");
      return parts.fail(
        t`${stem}.scales is ${what}; ${rows} x ${padded}, ${groups} of them used, were expected`,
      );
    }
    return codedSource<AwqGemvCoding>(raw, [rows, columns], {
      kind: "awq-gemv",
      zeros: wordSource(zeros),
      scales,
      groupSize: size,
    });
  },

  decode(reader, { zeros, scales, groupSize }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const [words, zeroWords] = [columns / PER_WORD, rowLength(zeros)];
    const padded = rowLength(scales);
    const scale = reader.floats(scales, first, count);
    const zero = new Float32Array(count * padded);
    unpackBits({ bits: 4 }, reader.words(zeros, first, count), 0, zero);
    const q = reader.words({ ...source, shape: [source.shape[0]!, words] }, first, count);
    const x = reader.kernels.floats(dst, count * columns);
    unpackBits({ bits: 4 }, q, 0, x);
    for (let r = 0; r < count; r++) {
      const row = x.subarray(r * columns, (r + 1) * columns);
      scaleGroups(row, scale, zero, { scale: r * padded, zero: r * zeroWords * PER_WORD }, groupSize);
    }
  },
};

/** Rows that lie woven into each other, and columns of a run of them. */
const ROWS = 4;
const RUN = 64;

/** Half words [out / 4, in], four numbers in each; scales and what is added, -scale × zero, [out, padded groups]. */
export interface AwqFastCoding extends Coding {
  readonly kind: "awq-gemv-fast";
  readonly scales: TensorSource;
  readonly added: TensorSource;
  readonly groupSize: number;
}

export const awqGemvFast: Packing<AwqFastCoding, AwqFields> = {
  kind: "awq-gemv-fast",
  title: "AWQ",
  methods: ["awq"],
  fields: awqFields,
  across: false,
  typeOf: () => "AWQ-4",
  weightOf: (name, { type }) => (type === "I16" ? weightOfQweight(name) : undefined),

  locate(parts, name, raw, settings) {
    checkAwq(parts, settings, ["gemv_fast", "llm-awq"]);
    const stem = name.replace(/\.qweight$/, "");
    const [quarter, columns] = raw.shape;
    if (!quarter || !columns || raw.shape.length > 2 || columns % RUN !== 0) {
      return parts.fail(t`${name} is I16 of shape ${raw.shape.join(" x ")}; runs of ${RUN} were expected`);
    }
    const rows = quarter * ROWS;
    const { size, groups } = groupsOf(parts, name, columns, settings);
    const [scales, added] = ["scales", "qzeros"].map((part) => {
      const table = parts.take(`${stem}.${part}`);
      const [padded = 0, across] = table?.shape ?? [];
      if (table?.shape.length === 2 && across === rows && padded >= groups) return transposed(table);
      const what = table === undefined ? t`missing, or no float` : table.shape.join(" x ");
      return parts.fail(t`${stem}.${part} is ${what}; ${groups} groups of ${rows} rows were expected`);
    }) as [TensorSource, TensorSource];
    return codedSource<AwqFastCoding>(raw, [rows, columns], {
      kind: "awq-gemv-fast",
      scales,
      added,
      groupSize: size,
    });
  },

  decode(reader, { scales, added, groupSize }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const scale = reader.floats(scales, first, count);
    const offset = reader.floats(added, first, count);
    const [padded, paddedOffsets] = [rowLength(scales), rowLength(added)];
    const from = Math.floor(first / ROWS);
    const until = Math.floor((first + count - 1) / ROWS) + 1;
    const pitch = columns * 2;
    const stored = reader.bytes(source, from * pitch, (until - from) * pitch);
    const x = reader.kernels.floats(dst, count * columns);
    for (let r = 0; r < count; r++) {
      const row = first + r;
      const start = (Math.floor(row / ROWS) - from) * pitch + (row % ROWS) * (RUN / 2);
      for (let c = 0; c < columns; c++) {
        const place = placeInRun(c % RUN);
        const byte = stored[start + Math.floor(c / RUN) * RUN * 2 + (place >> 1)]!;
        const q = (byte >> ((place & 1) * 4)) & 15;
        const g = Math.floor(c / groupSize);
        x[r * columns + c] = Math.fround(q * scale[r * padded + g]!) + offset[r * paddedOffsets + g]!;
      }
    }
  },
};

/** Where column 8a + 2b + c of 32 is: at 8b + 4c + a. */
function placeInRun(column: number): number {
  const within = column % 32;
  const [a, b, c] = [within >> 3, (within >> 1) & 3, within & 1];
  return column - within + 8 * b + 4 * c + a;
}

function groupsOf(parts: Parts, name: string, columns: number, { group_size: said }: AwqFields) {
  const size = said === -1 ? columns : said;
  if (columns % size === 0) return { size, groups: columns / size };
  return parts.fail(t`${name} has ${columns} columns, no whole groups of ${size}`);
}
