import { createHash } from "node:crypto";
import * as path from "node:path/posix";
import { isDeepStrictEqual as isEqual } from "node:util";
import { crc32 as crcOf } from "node:zlib";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { addFiles } from "../../src/browser/input.js";
import * as here from "../../src/host/browser/bytes.js";
import { isDeepStrictEqual } from "../../src/host/browser/equal.js";
import { existsSync, openSync, readdirSync, readSync, statSync } from "../../src/host/browser/files.js";
import { crc32, createHash as hashOf } from "../../src/host/browser/hash.js";
import * as paths from "../../src/host/browser/paths.js";
import { BlobStore, MemoryStore } from "../../src/host/browser/stores/store.js";
import * as there from "../../src/host/node/bytes.js";
import { installDoubles } from "./doubles.js";

// What the seam has for browsers, beside what Node has of the same.

const bytes = fc.uint8Array({ maxLength: 300 });

describe("as in Node", () => {
  test("bytes and text", () => {
    fc.assert(
      fc.property(bytes, bytes, fc.string({ unit: "binary", maxLength: 60 }), (a, b, text) => {
        expect(here.decodeUtf8(a)).toBe(there.decodeUtf8(a));
        expect(here.decodeLatin1(a)).toBe(there.decodeLatin1(a));
        expect(here.isUtf8(a)).toBe(there.isUtf8(a));
        expect(here.encodeHex(a)).toBe(there.encodeHex(a));
        expect(here.encodeBase64(a)).toBe(there.encodeBase64(a));
        expect(there.compareBytes(here.decodeBase64(there.encodeBase64(a)), a)).toBe(0);
        expect(Math.sign(here.compareBytes(a, b))).toBe(there.compareBytes(a, b));
        expect(there.compareBytes(here.concatBytes([a, b]), there.concatBytes([a, b]))).toBe(0);
        expect(there.compareBytes(here.encodeUtf8(text), there.encodeUtf8(text))).toBe(0);
        expect(here.utf8Length(text)).toBe(there.utf8Length(text));
        const end = a.length >> 1;
        expect(here.textOf(a)(1, end)).toBe(there.textOf(a)(1, end));
        expect(here.latin1Of(a)(1, end)).toBe(there.latin1Of(a)(1, end));
        const whole = a.subarray(0, a.length - (a.length % 4));
        const [one, other] = [whole.slice(), whole.slice()];
        here.swap32(one);
        there.swap32(other);
        here.swap16(one);
        there.swap16(other);
        expect(there.compareBytes(one, other)).toBe(0);
      }),
    );
    expect(here.decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\ufeffa");
    expect([...here.decodeBase64("YW J-_w==YQ")].slice(0, 3)).toEqual(
      [...there.decodeBase64("YW J-_w==YQ")].slice(0, 3),
    );
  });

  test("hashes, whatever the pieces", () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 5 }), (parts) => {
        const [one, other] = [hashOf("sha256"), createHash("sha256")];
        for (const part of parts) {
          one.update(part);
          other.update(part);
        }
        const [a = new Uint8Array(), b = new Uint8Array()] = parts;
        expect(crc32(a)).toBe(crcOf(a));
        expect(crc32(b, crc32(a))).toBe(crcOf(Buffer.concat([a, b]))); // of no bytes, Node forgets what was before
        expect(one.digest("hex")).toBe(other.digest("hex"));
      }),
    );
  });

  test("paths", () => {
    const part = fc.constantFrom("a", "b.gguf", "..", ".", "", "/", "c/", ".d", "x.y.z");
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        expect(paths.join(...parts)).toBe(path.join(...parts));
        expect(paths.resolve("/", ...parts)).toBe(path.resolve("/", ...parts));
        const joined = paths.join("/m", ...parts.filter((each) => each !== ".."));
        expect(paths.dirname(joined)).toBe(path.dirname(joined));
        expect(paths.basename(joined)).toBe(path.basename(joined));
        expect(paths.extname(joined)).toBe(path.extname(joined));
      }),
    );
  });

  test("equality of plain data", () => {
    const value = fc.anything({ withTypedArray: true, maxDepth: 3 });
    fc.assert(fc.property(value, value, (a, b) => isDeepStrictEqual(a, b) === isEqual(a, b)));
    fc.assert(
      fc.property(value, (a) => isDeepStrictEqual(a, structuredClone(a)) === isEqual(a, structuredClone(a))),
    );
  });
});

test("a file in memory is what was written where", () => {
  const writes = fc.array(fc.tuple(fc.nat(3_000_000), bytes), { maxLength: 6 });
  fc.assert(
    fc.property(writes, (all) => {
      const store = new MemoryStore();
      const expected = new Uint8Array(3_100_000);
      let length = 0;
      for (const [at, part] of all) {
        store.write(part, at);
        expected.set(part, at);
        length = Math.max(length, part.length === 0 ? length : at + part.length);
      }
      const read = new Uint8Array(length);
      for (let done = 0; done < length; ) done += store.read(read, done, length - done, done);
      expect(Buffer.compare(read, expected.subarray(0, length))).toBe(0);
    }),
    { numRuns: 20 },
  );
});

describe("files of a page", () => {
  let remove: (() => void) | undefined;
  afterEach(() => {
    remove?.();
    remove = undefined;
  });
  const file = (name: string, text = name) => new File([text], name, { lastModified: 5 });

  test("have the paths that they had", async () => {
    const one = await addFiles(
      [
        { path: "tiny/config.json", file: file("config.json", "{}") },
        { path: "tiny/sub/model.safetensors", file: file("model.safetensors") },
      ],
      "model",
    );
    expect(one).toMatchObject({ path: "tiny", byteLength: 19 });
    expect(readdirSync("tiny")).toEqual(["config.json", "sub"]);
    expect(statSync("tiny/config.json")).toMatchObject({ size: 2, mtimeMs: 5 });
    const two = await addFiles([{ path: "tiny/config.json", file: file("config.json") }], "model");
    expect(two.path).toMatch(/^\d+\/tiny$/);
    one.remove();
    expect(existsSync("tiny")).toBe(false);
    expect(existsSync(two.path)).toBe(true);
    const parts = ["b-00002-of-00002.gguf", "b-00001-of-00002.gguf"].map((name) => file(name));
    expect((await addFiles(parts, "split")).path).toBe("split/b-00001-of-00002.gguf");
    expect((await addFiles(file("c.gguf"), "model")).path).toBe("c.gguf");
  });

  test.each([
    ["no files", []],
    ["a path out of the folder", [{ path: "a/../../b", file: file("b") }]],
    ["one path twice", [file("a"), file("a")]],
  ])("that are %s are refused", async (_, input) => {
    await expect(addFiles(input, "model")).rejects.toMatchObject({ name: "LlqError" });
  });

  test("that have changed since read as files that end", async () => {
    remove = installDoubles({}).remove;
    await addFiles(file("d.gguf"), "model");
    const fd = openSync("d.gguf", "r");
    expect(readSync(fd, new Uint8Array(4), 0, 4, 0)).toBe(0);
    const store = new BlobStore(file("e"));
    store.offer([{ position: 0, bytes: Uint8Array.of(7, 8, 9) }]);
    const target = new Uint8Array(3);
    expect([store.read(target, 1, 2, 0), [...target]]).toEqual([1, [0, 7, 0]]);
  });
});
