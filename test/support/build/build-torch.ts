import { ByteWriter } from "../../../formats/byte-writer.js";

/** A file to be put into a zip; the last fields say what is not so. */
export interface ZipFile {
  readonly name: string;
  readonly data: Uint8Array | string;
  readonly localName?: string;
  readonly method?: number;
  readonly localMethod?: number;
  readonly flags?: number;
  readonly localFlags?: number;
  readonly compressedSize?: number;
  readonly size?: number;
  readonly localSize?: number;
  /** Of the header before the data, by the directory. */
  readonly offset?: number;
  readonly extra?: Uint8Array;
  readonly localExtra?: Uint8Array;
}

export interface ZipOptions {
  /** Sizes and offsets as 64-bit numbers, in extra fields. */
  readonly zip64?: boolean;
  readonly count?: number;
  readonly directoryOffset?: number;
  readonly comment?: string;
  readonly disk?: number;
}

const encode = (data: Uint8Array | string) => (typeof data === "string" ? Buffer.from(data, "latin1") : data);

/** A zip archive in which nothing is compressed, as torch.save lays it out: data at multiples of 64, sizes behind it. */
export function buildZip(files: readonly ZipFile[], options: ZipOptions = {}): Uint8Array {
  const w = new ByteWriter();
  const offsets = files.map((file) => {
    const offset = w.length;
    const name = Buffer.from(file.localName ?? file.name, "latin1");
    const padding = file.localExtra ?? paddingFor(w.length + 30 + name.length);
    header(w, 0x04034b50, [20], file, file.localMethod ?? file.method, file.localFlags ?? file.flags, [
      file.localSize ?? 0,
      file.localSize ?? 0,
    ]);
    w.u16(name.length);
    w.u16(padding.length);
    w.bytes(name);
    w.bytes(padding);
    const data = encode(file.data);
    w.bytes(data);
    w.u32(0x08074b50);
    w.u32(0);
    w.u32(data.length);
    w.u32(data.length);
    return offset;
  });
  const start = w.length;
  for (const [i, file] of files.entries()) {
    const { length } = encode(file.data);
    const sizes = [file.compressedSize ?? length, file.size ?? file.compressedSize ?? length];
    const offset = file.offset ?? offsets[i]!;
    const name = Buffer.from(file.name, "latin1");
    const extra =
      file.extra ?? (options.zip64 ? zip64Field([...sizes.toReversed(), offset]) : new Uint8Array());
    const fits = options.zip64 ? [0xffffffff, 0xffffffff] : sizes;
    header(w, 0x02014b50, [0, 20], file, file.method, file.flags, fits);
    w.u16(name.length);
    w.u16(extra.length);
    w.u16(0);
    w.u16(0);
    w.u16(0);
    w.u32(0);
    w.u32(options.zip64 ? 0xffffffff : offset);
    w.bytes(name);
    w.bytes(extra);
  }
  const size = w.length - start;
  const count = options.count ?? files.length;
  if (options.zip64) zip64End(w, count, size, start);
  w.u32(0x06054b50);
  w.u16(options.disk ?? 0);
  w.u16(options.disk ?? 0);
  w.u16(options.zip64 ? 0xffff : count);
  w.u16(options.zip64 ? 0xffff : count);
  w.u32(options.zip64 ? 0xffffffff : size);
  w.u32(options.zip64 ? 0xffffffff : (options.directoryOffset ?? start));
  const comment = Buffer.from(options.comment ?? "", "latin1");
  w.u16(comment.length);
  w.bytes(comment);
  return w.toBytes();
}

function header(
  w: ByteWriter,
  signature: number,
  versions: number[],
  { data }: ZipFile,
  method = 0,
  flags = 0x808,
  sizes: readonly number[] = [],
): void {
  w.u32(signature);
  for (const version of versions) w.u16(version);
  w.u16(flags);
  w.u16(method);
  w.u32(0); // time and date
  w.u32(data.length === 0 ? 0 : 0x12345678); // CRC-32, which nobody looks at
  for (const size of sizes) w.u32(size);
}

/** torch.save's "FB" field, which is as long as it takes. */
function paddingFor(at: number): Uint8Array {
  const length = 64 - ((at + 4) % 64);
  return Buffer.concat([Buffer.from([0x46, 0x42, length, 0]), Buffer.alloc(length, "Z")]);
}

function zip64Field(values: readonly number[]): Uint8Array {
  const w = new ByteWriter();
  w.u16(1);
  w.u16(values.length * 8);
  for (const value of values) w.u64(value);
  return w.toBytes();
}

function zip64End(w: ByteWriter, count: number, size: number, start: number): void {
  const at = w.length;
  w.u32(0x06064b50);
  w.u64(44);
  w.u16(45);
  w.u16(45);
  w.u32(0);
  w.u32(0);
  for (const value of [count, count, size, start]) w.u64(value);
  w.u32(0x07064b50);
  w.u32(0);
  w.u64(at);
  w.u32(1);
}

const bytes = (...values: number[]) => Buffer.from(values).toString("latin1");
const u32 = (value: number) => bytes(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24);

/** Pieces of pickles, as latin-1 text: opcodes as in Python's pickletools. */
export const P = {
  proto: "\x80\x02",
  stop: ".",
  mark: "(",
  tuple: "t",
  list: "]",
  dict: "}",
  none: "N",
  false: "\x89",
  true: "\x88",
  reduce: "R",
  build: "b",
  setItems: "u",
  appends: "e",
  reference: "Q",
  text: (text: string) => {
    const utf8 = Buffer.from(text);
    return `X${u32(utf8.length)}${utf8.toString("latin1")}`;
  },
  int: (value: number) => `J${u32(value >>> 0)}`,
  long: (...digits: number[]) => `\x8a${bytes(digits.length, ...digits)}`,
  float: (value: number) => {
    const buffer = Buffer.alloc(8);
    buffer.writeDoubleBE(value);
    return `G${buffer.toString("latin1")}`;
  },
  put: (index: number) => `q${bytes(index)}`,
  get: (index: number) => `h${bytes(index)}`,
  global: (module: string, name: string) => `c${module}\n${name}\n`,
  tupleOf: (...items: string[]) => `(${items.join("")}t`,
  listOf: (...items: string[]) => `](${items.join("")}e`,
  dictOf: (...items: [key: string, value: string][]) =>
    `}(${items.map(([key, value]) => P.text(key) + value).join("")}u`,
  orderedDict: "ccollections\nOrderedDict\n)R",
  call: (module: string, name: string, ...args: string[]) =>
    `${P.global(module, name)}${P.tupleOf(...args)}R`,
};

export interface StoredTensor {
  readonly storage?: string;
  readonly key?: string;
  /** Elements in the storage. */
  readonly length?: number;
  readonly offset?: number;
  readonly size?: readonly number[];
  readonly stride?: readonly number[];
}

/** The pickle of a tensor, two by default in a storage of two floats. */
export function tensorPickle(tensor: StoredTensor = {}): string {
  const { storage = "FloatStorage", key = "0", length = 2, offset = 0, size = [2], stride = [1] } = tensor;
  return P.call(
    "torch._utils",
    "_rebuild_tensor_v2",
    storagePickle(P.global("torch", storage), key, length),
    P.int(offset),
    P.tupleOf(...size.map(P.int)),
    P.tupleOf(...stride.map(P.int)),
    P.false,
    P.orderedDict,
  );
}

export function storagePickle(type: string, key: string, length: number): string {
  return `${P.tupleOf(P.text("storage"), type, P.text(key), P.text("cpu"), P.int(length))}Q`;
}

/** A file of torch.save: a pickle without its first and last opcodes, and storages by key. */
export function buildTorch(
  pickle: string,
  storages: Readonly<Record<string, Uint8Array | string>> = { 0: "\0\0\x80?\0\0\0@" },
  extra: readonly ZipFile[] = [{ name: "m/byteorder", data: "little" }],
): Uint8Array {
  return buildZip([
    { name: "m/data.pkl", data: `${P.proto}${pickle}.` },
    ...extra,
    ...Object.entries(storages).map(([key, data]) => ({ name: `m/data/${key}`, data })),
    { name: "m/version", data: "3\n" },
  ]);
}
