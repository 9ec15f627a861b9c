import * as v from "valibot";
import type { Coding, TensorSource } from "../../../formats/container.js";
import { elementCount } from "../../../formats/dtype.js";
import { faultsOf } from "../../../formats/faults.js";
import { parseJson } from "../../../formats/json.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import { wholeNumber } from "./config.js";
import type { Packing } from "./packing.js";
import { codedSource, type Parts } from "./parts.js";

/**
 * Codes one after another through all rows, of 4 bits (the high ones first) or 8; w = map[code] × scales[i / blockSize]
 * + offset, each step in f32. Scales are a column, which double quantization has in this coding once more.
 */
export interface BlockwiseCoding extends Coding {
  readonly kind: "bitsandbytes-4";
  readonly type: "NF4" | "FP4";
  readonly bits: 4 | 8;
  readonly map: TensorSource;
  readonly scales: TensorSource;
  readonly blockSize: number;
  readonly offset: number;
}

/** What the tensor quant_state holds as JSON. Fields with another name would change what codes mean. */
const state = v.strictObject({
  quant_type: v.picklist(["nf4", "fp4"]),
  blocksize: wholeNumber,
  dtype: v.string(), // what the weight was
  shape: v.pipe(v.array(wholeNumber), v.minLength(1)),
  nested_blocksize: v.optional(wholeNumber),
  nested_dtype: v.optional(v.literal("float32")),
  nested_offset: v.optional(v.number()),
});

const STATE = /^(.*)\.quant_state\.bitsandbytes__(?:nf4|fp4)$/;

/** bitsandbytes' QuantState: a block of 64 or so elements has a scale, and says itself what it is. */
export const bitsandbytes4: Packing<BlockwiseCoding> = {
  kind: "bitsandbytes-4",
  title: "bitsandbytes",
  methods: ["bitsandbytes"],
  untold: true,
  fields: v.unknown(),
  across: false,
  typeOf: ({ type }) => type,
  weightOf: (name) => STATE.exec(name)?.[1],

  locate(parts, name, raw) {
    const weight = STATE.exec(name)![1]!;
    const json = parseJson(`${parts.where}: ${name}`, parts.bytes(name, raw));
    const read = v.safeParse(state, json);
    if (!read.success) {
      return parts.unsupported(`${name}: ${faultsOf(read.issues)}`, t`what bitsandbytes 0.50 writes`);
    }
    const { quant_type, blocksize, shape, nested_blocksize, nested_offset } = read.output;
    const count = elementCount(shape);
    // bytes, or numbers of another type that stand for as many (bnb_4bit_quant_storage)
    const codes = parts.take(weight) ?? parts.raw(weight);
    if (codes === undefined || codes.byteLength < Math.ceil(count / 2)) {
      return parts.fail(t`${weight} has ${codes?.byteLength ?? 0} bytes for ${count} numbers of 4 bits`);
    }
    const type = quant_type === "nf4" ? "NF4" : "FP4";
    const blocks = Math.ceil(count / blocksize);
    const isNested = parts.raw(`${weight}.absmax`) !== undefined;
    if (isNested !== (nested_blocksize !== undefined)) {
      return parts.fail(t`${weight}.absmax and ${name} differ on double quantization`);
    }
    return codedSource<BlockwiseCoding>(codes, shape, {
      kind: "bitsandbytes-4",
      type,
      bits: 4,
      map: mapOf(parts, `${weight}.quant_map`, 16),
      scales: isNested
        ? nestedScales(parts, weight, blocks, {
            type,
            blockSize: nested_blocksize!,
            offset: nested_offset ?? 0,
          })
        : columnOf(parts, `${weight}.absmax`, blocks),
      blockSize: blocksize,
      offset: 0,
    });
  },

  decode(reader, { bits, map, scales, blockSize, offset }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const [start, n] = [first * columns, count * columns];
    const firstBlock = Math.floor(start / blockSize);
    const values = reader.floats(map, 0, 1);
    const scale = reader.floats(scales, firstBlock, Math.floor((start + n - 1) / blockSize) + 1 - firstBlock);
    const firstByte = Math.floor((start * bits) / 8);
    const bytes = reader.bytes(source, firstByte, Math.ceil(((start + n) * bits) / 8) - firstByte);
    const x = reader.kernels.floats(dst, n);
    for (let i = 0; i < n; ) {
      const block = Math.floor((start + i) / blockSize);
      const factor = scale[block - firstBlock]!;
      const end = Math.min(n, (block + 1) * blockSize - start);
      if (bits === 8) for (; i < end; i++) x[i] = Math.fround(values[bytes[i]!]! * factor) + offset;
      else {
        for (; i < end; i++) {
          const at = start + i;
          x[i] = values[(bytes[(at >> 1) - firstByte]! >> (at & 1 ? 0 : 4)) & 15]! * factor;
        }
      }
    }
  },
};

function nestedScales(
  parts: Parts,
  weight: string,
  blocks: number,
  nested: Pick<BlockwiseCoding, "type" | "blockSize" | "offset">,
): TensorSource {
  const codes = parts.raw(`${weight}.absmax`)!;
  if (codes.type !== "U8" || codes.byteLength !== blocks) {
    return parts.fail(
      t`${weight}.absmax has ${codes.byteLength} numbers of ${codes.type}, not ${blocks} of U8`,
    );
  }
  return codedSource<BlockwiseCoding>(codes, [blocks, 1], {
    kind: "bitsandbytes-4",
    ...nested,
    offset: Math.fround(nested.offset),
    bits: 8,
    map: mapOf(parts, `${weight}.nested_quant_map`, 256),
    scales: columnOf(parts, `${weight}.nested_absmax`, Math.ceil(blocks / nested.blockSize)),
  });
}

function mapOf(parts: Parts, name: string, length: number): TensorSource {
  return { ...parts.floats(name, length), shape: [1, length] };
}

function columnOf(parts: Parts, name: string, length: number): TensorSource {
  return { ...parts.floats(name, length), shape: [length, 1] };
}
