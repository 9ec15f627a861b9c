import { ByteWriter } from "../../../formats/byte-writer.js";
import { alignUp } from "../../../formats/bytes.js";
import { type ErrorCode, LlqError } from "../../../formats/errors.js";

/** A file in memory, and where its numbers are, for those who want to change them. */
export interface Built {
  readonly bytes: Uint8Array;
  readonly numbers: readonly { readonly at: number; readonly size: 4 | 8 }[];
}

/** A GGUF file field by field, written as the caller says, right or wrong; independent of formats/gguf/gguf-write.ts. */
export interface GgufParts {
  readonly magic?: number;
  readonly version?: number;
  readonly tensorCount?: number | bigint;
  readonly fieldCount?: number | bigint;
  readonly fields?: readonly (readonly [key: string | Uint8Array, type: number, value: Value])[];
  readonly tensors?: readonly TensorParts[];
  /** Where the tensor data begins is a multiple of this. */
  readonly alignment?: number;
  /** Bytes of tensor data. */
  readonly data?: number;
}

export interface TensorParts {
  readonly name: string | Uint8Array;
  readonly rank?: number;
  /** As in the file: innermost first. */
  readonly dims?: readonly (number | bigint)[];
  readonly type?: number;
  readonly offset?: number | bigint;
}

export interface ArrayParts {
  readonly item: number;
  readonly count?: number | bigint;
  readonly values: readonly Value[];
}

export type Value = number | bigint | string | Uint8Array | ArrayParts;

/** gguf_type ids. */
// biome-ignore format: one line
export const T = {
  u8: 0, i8: 1, u16: 2, i16: 3, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10, i64: 11, f64: 12,
};

export function buildGguf(parts: GgufParts): Built {
  const w = new ByteWriter();
  const numbers: { at: number; size: 4 | 8 }[] = [];
  const u32 = (value: number) => {
    numbers.push({ at: w.length, size: 4 });
    w.u32(value);
  };
  const u64 = (value: number | bigint) => {
    numbers.push({ at: w.length, size: 8 });
    w.u64(value);
  };
  const text = (value: string | Uint8Array) => {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    u64(bytes.length);
    w.bytes(bytes);
  };
  const scalar: Record<number, (value: number) => void> = {
    [T.u8]: (value) => w.u8(value),
    [T.i8]: (value) => w.i8(value),
    [T.u16]: (value) => w.u16(value),
    [T.i16]: (value) => w.i16(value),
    [T.u32]: u32,
    [T.i32]: (value) => w.i32(value),
    [T.f32]: (value) => w.f32(value),
    [T.f64]: (value) => w.f64(value),
    [T.bool]: (value) => w.u8(value),
    [T.u64]: u64,
    [T.i64]: (value) => w.i64(value),
    [T.string]: u64, // a length, and no text
  };
  const value = (type: number, each: Value) => {
    if (typeof each === "number" || typeof each === "bigint") scalar[type]?.(each as number);
    else if (typeof each === "string" || each instanceof Uint8Array) text(each);
    else {
      u32(each.item);
      u64(each.count ?? each.values.length);
      for (const one of each.values) value(each.item, one);
    }
  };
  const { fields = [], tensors = [] } = parts;
  u32(parts.magic ?? 0x46554747);
  u32(parts.version ?? 3);
  u64(parts.tensorCount ?? tensors.length);
  u64(parts.fieldCount ?? fields.length);
  for (const [key, type, each] of fields) {
    text(key);
    u32(type);
    value(type, each);
  }
  for (const { name, dims = [], rank = dims.length, type = 0, offset = 0 } of tensors) {
    text(name);
    u32(rank);
    for (const dim of dims) u64(dim);
    u32(type);
    u64(offset);
  }
  if (tensors.length > 0) w.align(parts.alignment ?? 32);
  w.bytes(Uint8Array.from({ length: parts.data ?? 0 }, (_, i) => i * 7));
  return { bytes: w.toBytes(), numbers };
}

/** A copy as a big-endian machine writes it, of a file with no numbers but those that the builder knows of. */
export function turned({ bytes, numbers }: Built): Uint8Array {
  const copy = bytes.slice();
  for (const { at, size } of numbers) if (at > 0) copy.subarray(at, at + size).reverse(); // the magic is no number
  return copy;
}

/** A valid file that has every kind of field: what damage cannot reach here, it is not tried on. */
export const everyFieldGguf: Built = buildGguf({
  alignment: 64,
  data: 576,
  fields: [
    ["general.architecture", T.string, "llama"],
    ["general.alignment", T.u32, 64],
    ["a.u8", T.u8, 255],
    ["a.i8", T.i8, -128],
    ["a.u16", T.u16, 65535],
    ["a.i16", T.i16, -32768],
    ["a.i32", T.i32, -(2 ** 31)],
    ["a.f32", T.f32, 1e-5],
    ["a.bool", T.bool, 1],
    ["a.true_as_two", T.bool, 2],
    ["a.u64", T.u64, 2n ** 64n - 1n],
    ["a.i64", T.i64, -(2n ** 63n)],
    ["a.f64", T.f64, Math.PI],
    ["a.empty", T.string, ""],
    ["a.ключ", T.string, "\ufeffzażółć 🙂\n"],
    ["a.not_utf8", T.string, Uint8Array.of(0x61, 0xff, 0xc3)],
    ["tokens", T.array, { item: T.string, values: ["a", "\ufeff", "", Uint8Array.of(0xe2, 0x96), "▁b"] }],
    ["scores", T.array, { item: T.f32, values: [0, -1.5, Number.NEGATIVE_INFINITY] }],
    ["types", T.array, { item: T.i32, values: [1, -2, 3] }],
    ["flags", T.array, { item: T.bool, values: [1, 0, 7] }],
    ["sizes", T.array, { item: T.u64, values: [1n, 2n ** 60n] }],
    ["none", T.array, { item: T.u8, values: [] }],
    [
      "nested",
      T.array,
      {
        item: T.array,
        values: [
          { item: T.u16, values: [1, 2] },
          { item: T.string, values: ["x"] },
        ],
      },
    ],
  ],
  tensors: [
    { name: "scalar", dims: [], type: 0, offset: 0 },
    { name: "row.f16", dims: [5], type: 1, offset: 64 },
    { name: "matrix.bf16", dims: [3, 2], type: 30, offset: 128 },
    { name: "cube.q4_0", dims: [32, 2, 3], type: 2, offset: 192 },
    { name: "four.q8_0", dims: [32, 2, 1, 2], type: 8, offset: 320 },
    { name: "no.rows", dims: [4, 0], type: 0, offset: 512 },
    { name: "last", dims: [4, 4], type: 0, offset: 512 },
  ],
});

/** A safetensors file: the header as text or as a value, then `data` bytes; `length` if it should lie. */
export function buildSafetensors(header: unknown, data: number, length?: number | bigint): Uint8Array {
  const text = header instanceof Uint8Array ? header : Buffer.from(toText(header));
  const w = new ByteWriter();
  w.u64(length ?? text.length);
  w.bytes(text);
  w.bytes(Uint8Array.from({ length: data }, (_, i) => i * 5));
  return w.toBytes();
}

function toText(header: unknown): string {
  return typeof header === "string" ? header : JSON.stringify(header);
}

/** A valid header that has every kind of entry, out of order, and the bytes of its data. */
export const everyEntryHeader = `{"__metadata__":{"format":"pt","note":"\\u00e9\\n"},
 "b.f16":{"dtype":"F16","shape":[2,3],"data_offsets":[24,36]}, "scalar":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
 "mask":{"dtype":"BOOL","shape":[4],"data_offsets":[36,40]},
 "ids":{"data_offsets":[40,56],"shape":[1,2],"dtype":"I64"},
 "w.bf16":{"dtype":"BF16","shape":[5,2],"data_offsets":[4,24]},
 "nothing":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]},
 "sub.byte":{"dtype":"F4","shape":[2,4],"data_offsets":[56,60]}}   `;
export const everyEntryData = 60;

/** The refusal that `action` ends in, as `code: message`. */
export function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof LlqError) return `${error.code satisfies ErrorCode}: ${error.message}`;
    throw error;
  }
  return "accepted";
}

export interface DatParts {
  readonly count?: number;
  readonly entries: readonly {
    readonly name: string;
    readonly nameLength?: number;
    readonly calls: number;
    readonly count?: number;
    readonly values: readonly number[];
  }[];
  readonly chunks?: number;
  readonly dataset?: string;
  readonly datasetLength?: number;
}

/** An importance matrix in llama.cpp's older form; what comes after the entries only if there are chunks. */
export function buildDat({ count, entries, chunks, dataset = "", datasetLength }: DatParts): Uint8Array {
  const w = new ByteWriter();
  w.i32(count ?? entries.length);
  for (const { name, nameLength, calls, count, values } of entries) {
    w.i32(nameLength ?? name.length);
    w.bytes(Buffer.from(name));
    w.i32(calls);
    w.i32(count ?? values.length);
    for (const value of values) w.f32(value);
  }
  if (chunks === undefined) return w.toBytes();
  w.i32(chunks);
  w.i32(datasetLength ?? dataset.length);
  w.bytes(Buffer.from(dataset));
  return w.toBytes();
}

export interface ImatrixParts {
  /** Sums, expert after expert; counts, one an expert. */
  readonly entries: readonly (readonly [name: string, sums: readonly number[], counts?: readonly number[]])[];
  readonly isModel?: boolean;
}

/** An importance matrix in GGUF; `isModel` leaves out the keys that say so. */
export function buildImatrixGguf({ entries, isModel = false }: ImatrixParts): Uint8Array {
  const tensors = entries.flatMap(([name, sums, counts]) => [
    { name: `${name}.in_sum2`, values: sums },
    ...(counts === undefined ? [] : [{ name: `${name}.counts`, values: counts }]),
  ]);
  const fields: GgufParts["fields"] = [
    ["imatrix.datasets", T.array, { item: T.string, values: ["text"] }],
    ["imatrix.chunk_count", T.u32, 5],
    ["imatrix.chunk_size", T.u32, 32],
  ];
  let offset = 0;
  const placed = tensors.map(({ name, values }) => {
    const at = offset;
    offset = alignUp(at + values.length * 4, 32);
    return { name, dims: [values.length], offset: at };
  });
  const { bytes } = buildGguf({ fields: isModel ? [] : fields, tensors: placed, data: offset });
  const view = new DataView(bytes.buffer);
  for (const [i, { values }] of tensors.entries()) {
    const start = bytes.length - offset + placed[i]!.offset;
    for (const [k, value] of values.entries()) view.setFloat32(start + 4 * k, value, true);
  }
  return bytes;
}
