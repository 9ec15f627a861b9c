import { encode } from "@msgpack/msgpack";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteWriter } from "../../formats/byte-writer.js";
import { BufferSource, ByteReader } from "../../formats/bytes.js";
import type { MetaField, MetaType, MetaValue } from "../../formats/container.js";
import { parseCsv } from "../../formats/csv.js";
import { byteLength, DTYPES, type DTypeName } from "../../formats/dtype.js";
import { decodeAround, Span } from "../../formats/flax/messagepack.js";
import { readGguf } from "../../formats/gguf/gguf.js";
import { ggufHeader, type TensorHeader } from "../../formats/gguf/gguf-write.js";
import { type ImatrixEntry, readImatrixSums } from "../../formats/imatrix/imatrix.js";
import { imatrixFile } from "../../formats/imatrix/imatrix-write.js";
import { readSafetensors } from "../../formats/safetensors/safetensors.js";
import { parseSensitivity, type Sensitivity, sensitivityFile } from "../../formats/sensitivity.js";
import { formatHubReference, isSafePath, parseHubReference } from "../../src/hub/reference.js";
import { buildSafetensors } from "../support/build/build.js";

// What is written comes back, whatever it is; a seed makes it the same everywhere.
fc.configureGlobal({ seed: 18, numRuns: 200 });

/** A name that can be printed. */
const name = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
  .filter((text) => !/[\p{Cc}\p{Cs}]/u.test(text));
const names = fc.uniqueArray(name, { minLength: 1, maxLength: 8 });

const whole = (bits: number, signed: boolean) =>
  signed
    ? fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n })
    : fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n });
const small = (bits: number, signed: boolean) => whole(bits, signed).map(Number);
const text = fc.string({ unit: "grapheme", maxLength: 20 });

const VALUES: Record<Exclude<MetaType, "array">, fc.Arbitrary<MetaValue>> = {
  ...{ u8: small(8, false), i8: small(8, true), u16: small(16, false), i16: small(16, true) },
  ...{ u32: small(32, false), i32: small(32, true), u64: whole(64, false), i64: whole(64, true) },
  ...{ f32: fc.float(), f64: fc.double(), bool: fc.boolean(), string: text },
};

const TYPES = Object.keys(VALUES) as (keyof typeof VALUES)[];
const scalar: fc.Arbitrary<MetaField> = fc
  .constantFrom(...TYPES)
  .chain((type) => VALUES[type].map((value) => ({ type, value })));
const list: fc.Arbitrary<MetaField> = fc
  .constantFrom(...TYPES)
  .chain((item) => fc.array(VALUES[item], { maxLength: 9 }).map((value) => ({ type: "array", item, value })));
const metadata = fc.array(fc.tuple(name, fc.oneof(scalar, list)), { maxLength: 10 }).map(
  // A key of its own that says where data begins; here it is a power of 2.
  (fields) => new Map(fields.filter(([key]) => key !== "general.alignment")),
);

const WRITTEN = DTYPES.map((row) => row.name);
const tensor = (dtype: DTypeName): fc.Arbitrary<TensorHeader> => {
  const { blockSize } = DTYPES.find((row) => row.name === dtype)!;
  const columns = fc.integer({ min: 1, max: 3 }).map((blocks) => blocks * blockSize);
  return fc
    .tuple(fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }), columns)
    .map(([outer, last]) => ({ name: "", dtype, shape: [...outer, last] }));
};
const tensors = names.chain((each) =>
  fc
    .array(fc.constantFrom(...WRITTEN).chain(tensor), { minLength: each.length, maxLength: each.length })
    .map((headers) => headers.map((header, i) => ({ ...header, name: each[i]! }))),
);

describe("GGUF", () => {
  test("metadata and tensors come back, the data in order, aligned and without overlaps", () => {
    fc.assert(
      fc.property(metadata, tensors, fc.constantFrom(undefined, 8, 32, 64), (fields, headers, alignment) => {
        const all = new Map(fields);
        if (alignment !== undefined) all.set("general.alignment", { type: "u32", value: alignment });
        const { header, offsets, byteLength: size } = ggufHeader(all, headers);
        const file = new Uint8Array(size);
        file.set(header);
        const read = readGguf(new BufferSource("x", file));
        const plain = ({ type, item, value }: MetaField) => ({ type, item, value });
        expect([...read.metadata].map(([key, field]) => [key, plain(field)])).toEqual(
          [...all].map(([key, field]) => [key, plain(field)]),
        );
        let end = header.length;
        expect([...read.tensors.keys()]).toEqual(headers.map((each) => each.name));
        for (const [i, { dtype, shape, offset }] of [...read.tensors.values()].entries()) {
          const { dtype: type, shape: lengths } = headers[i]!;
          expect({ dtype, shape, offset }).toEqual({ dtype: type, shape: lengths, offset: offsets[i] });
          expect(offset % (alignment ?? 32)).toBe(0);
          expect(offset).toBeGreaterThanOrEqual(end);
          end = offset + byteLength(type, lengths);
        }
        expect(size - end).toBeLessThan(alignment ?? 32);
        // What was read is written again with the same bytes.
        expect(Buffer.compare(ggufHeader(read.metadata, headers).header, header)).toBe(0);
      }),
    );
  });

  test("a number beyond its type is refused, one within comes back", () => {
    fc.assert(
      fc.property(fc.constantFrom("u8", "i8", "u16", "i16", "u32", "i32"), fc.integer(), (type, value) => {
        const bits = Number(type.slice(1));
        const [low, high] = type[0] === "u" ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
        const write = () => ggufHeader(new Map([["k", { type, value }]]), []).header;
        if (value < low || value > high) expect(write).toThrow(/is not a whole number of type/);
        else expect(readGguf(new BufferSource("x", write())).metadata.get("k")!.value).toBe(value);
      }),
    );
  });
});

test("numbers of either byte order come back", () => {
  fc.assert(
    fc.property(fc.double(), fc.float(), whole(53, false), small(32, true), (f64, f32, u64, i32) => {
      const w = new ByteWriter();
      w.f64(f64);
      w.f32(f32);
      w.u64(u64);
      w.i32(i32);
      const bytes = w.toBytes();
      const read = (r: ByteReader) => [r.f64(), r.f32(), BigInt(r.u64("numbers")), r.i32()];
      expect(read(new ByteReader(new BufferSource("x", bytes)))).toEqual([f64, f32, u64, i32]);
      const turned = [8, 4, 8, 4].flatMap((size, i) => {
        const at = [0, 8, 12, 20][i]!;
        return [...bytes.slice(at, at + size)].reverse();
      });
      const r = new ByteReader(new BufferSource("x", Uint8Array.from(turned)));
      r.littleEndian = false;
      expect(read(r)).toEqual([f64, f32, u64, i32]);
    }),
  );
});

test("safetensors: every tensor is where the header says, in any order of entries", () => {
  const sizes = { F32: 4, F16: 2, BF16: 2, F64: 8 } as const;
  const entry = fc.tuple(
    fc.constantFrom(...(Object.keys(sizes) as (keyof typeof sizes)[])),
    fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
  );
  const entries = names.chain((each) =>
    fc.tuple(
      fc.constant(each),
      fc.array(entry, { minLength: each.length, maxLength: each.length }),
      fc.shuffledSubarray(each, { minLength: each.length }),
    ),
  );
  fc.assert(
    fc.property(entries, ([order, kinds, shown]) => {
      let at = 0;
      const placed = new Map(
        order.map((key, i) => {
          const [dtype, shape] = kinds[i]!;
          const from = at;
          at += shape.reduce((product, length) => product * length, 1) * sizes[dtype];
          return [key, { dtype, shape, data_offsets: [from, at] }];
        }),
      );
      // As text: names that are numbers would be put first in an object.
      const header = `{${shown.map((key) => `${JSON.stringify(key)}:${JSON.stringify(placed.get(key))}`).join(",")}}`;
      const start = 8 + Buffer.byteLength(header);
      const { tensors: found } = readSafetensors(new BufferSource("x", buildSafetensors(header, at)));
      expect(found.size).toBe(order.length);
      for (const [key, { dtype, shape, offset, byteLength: size }] of found) {
        const { data_offsets, ...rest } = placed.get(key)!;
        expect({ dtype, shape, at: [offset, offset + size] }).toEqual({
          ...rest,
          at: data_offsets.map((each) => each! + start),
        });
      }
    }),
  );
});

test("importance matrices come back", () => {
  const positive = fc.float({ min: 0, noNaN: true, noDefaultInfinity: true });
  const some = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 5 })).chain(
    ([experts, columns]): fc.Arbitrary<ImatrixEntry> =>
      fc.record({
        sums: fc
          .array(positive, { minLength: experts * columns, maxLength: experts * columns })
          .map((values) => Float32Array.from(values)),
        counts: fc
          .array(fc.integer({ min: 0, max: 1 << 20 }), { minLength: experts, maxLength: experts })
          .map((values) => Float32Array.from(values)),
      }),
  );
  const all = fc.record({
    entries: fc.array(fc.tuple(name, some), { minLength: 1, maxLength: 5 }).map((rows) => new Map(rows)),
    datasets: fc.array(text, { maxLength: 3 }),
    chunks: small(32, false),
    chunkSize: small(32, false),
  });
  fc.assert(
    fc.property(all, (sums) => {
      const read = readImatrixSums(new BufferSource("x", imatrixFile(sums)));
      // By name: the file has them in order.
      expect({ ...read, entries: Object.fromEntries(read.entries) }).toEqual({
        ...sums,
        entries: Object.fromEntries(sums.entries),
      });
    }),
  );
});

test("sensitivities come back", () => {
  const kld = fc
    .array(
      fc.tuple(
        fc.constantFrom(...WRITTEN),
        fc.double({ min: 0, noNaN: true, noDefaultInfinity: true, max: 1e300 }),
      ),
      { minLength: 1, maxLength: 4 },
    )
    .map((rows) => new Map(rows.map(([type, value]) => [type, value + 0] as const)));
  const shape = fc.array(fc.integer({ min: 1, max: 1 << 20 }), { minLength: 1, maxLength: 3 });
  const rows = fc.array(fc.tuple(name, fc.record({ shape, kld })), { minLength: 1, maxLength: 5 });
  const hex = fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 64, maxLength: 64 });
  const file: fc.Arbitrary<Sensitivity> = fc.record({
    ...{ file: fc.constant("x"), architecture: text, fingerprint: hex, text },
    ...{ context: fc.integer({ min: 1, max: 1 << 30 }), chunks: fc.integer({ min: 1, max: 1 << 30 }) },
    ...{ imatrix: fc.option(hex), tensors: rows.map((each) => new Map(each)) },
  });
  fc.assert(
    fc.property(file, (sensitivity) => {
      expect(parseSensitivity("x", sensitivityFile(sensitivity))).toMatchObject(sensitivity);
    }),
  );
});

test("CSV: fields with commas, quotes and lines in them come back", () => {
  const field = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r\n", " ", "é"), maxLength: 6 });
  const table = fc
    .integer({ min: 2, max: 4 })
    .chain((width) => fc.array(fc.array(field, { minLength: width, maxLength: width }), { maxLength: 5 }));
  fc.assert(
    fc.property(table, fc.constantFrom("\n", "\r\n"), (rows, end) => {
      const quoted = (each: string) => (/[",\r\n]/.test(each) ? `"${each.replaceAll('"', '""')}"` : each);
      const csv = rows.map((row) => row.map(quoted).join(",") + end).join("");
      expect(parseCsv("x", csv).map(({ fields }) => fields)).toEqual(rows);
    }),
  );
});

test("references to the Hub come back, and none leads out of its folder", () => {
  const part = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}$/);
  const path = fc.string({ unit: fc.constantFrom("a", ".", "/", "\\", ":", "..", "b", "\0"), maxLength: 8 });
  fc.assert(
    fc.property(part, part, path, path, (owner, repository, inside, revision) => {
      const written = `hf:${owner}/${repository}${inside && `/${inside}`}${revision && `@${revision}`}`;
      let reference: ReturnType<typeof parseHubReference>;
      try {
        reference = parseHubReference(written);
      } catch {
        return;
      }
      expect(parseHubReference(formatHubReference(reference))).toEqual(reference);
      for (const each of [reference.path, reference.revision].filter((text) => text !== "")) {
        expect(isSafePath(each)).toBe(true);
        expect(new URL(each, "http://h/root/").pathname.startsWith("/root/")).toBe(true);
      }
    }),
  );
});

test("MessagePack: values come back, and bytes where they stand in the file", () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const leaf = fc.oneof(fc.integer(), fc.double(), fc.boolean(), fc.constant(null), text, bytes);
  const { value } = fc.letrec((again) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(again("value"), { maxLength: 20 }),
      fc.dictionary(name, again("value"), { maxKeys: 20 }),
    ),
  }));
  fc.assert(
    fc.property(value, fc.nat(5), (written, before) => {
      const packed = encode(written);
      const file = new Uint8Array(before + packed.length + 3);
      file.set(packed, before);
      const r = new ByteReader(new BufferSource("x", file));
      r.offset = before;
      let spans = 0;
      const filled = (each: unknown): unknown => {
        if (each instanceof Span) {
          spans++;
          expect(each.code).toBeUndefined();
          return file.slice(each.offset, each.offset + each.byteLength);
        }
        if (Array.isArray(each)) return each.map(filled);
        if (each === null || typeof each !== "object") return each;
        return Object.fromEntries(Object.entries(each).map(([key, inner]) => [key, filled(inner)]));
      };
      const read = decodeAround(r, before + packed.length);
      expect(filled(read.value)).toEqual(written);
      expect(read.spans).toBe(spans);
      // A byte less or more is another value, or none.
      for (const end of [before + packed.length - 1, before + packed.length + 1]) {
        r.offset = before;
        expect(() => decodeAround(r, end)).toThrow(/^x/);
      }
    }),
  );
});
