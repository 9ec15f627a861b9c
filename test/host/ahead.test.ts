import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { TensorSource } from "../../formats/container.js";
import { sha256Of } from "../../src/browser/digest.js";
import {
  fdatasync,
  forgetPrepared,
  openSync,
  prepareFile,
  removeFiles,
} from "../../src/host/browser/files.js";
import { Ahead } from "../../src/host/browser/stores/ahead.js";
import { giveBuffer, takeBuffer, takeSpare } from "../../src/host/browser/stores/buffers.js";
import { HostError, MemoryStore } from "../../src/host/browser/stores/store.js";
import { storedRegions } from "../../src/rows/regions.js";
import { storedWhole, type Tensor } from "../../src/tensor.js";

// What a page's threads have done for them by the one that started them: files read before, and the disk waited for.

const BYTES = Uint8Array.from({ length: 700_000 }, (_, i) => (i * 7 + (i >> 8)) % 251);

afterEach(() => {
  takeSpare();
});

/** That of Safari before 26.4, whose streams have no reader of bytes. */
class PlainBlob extends Blob {
  override slice(start?: number, end?: number): Blob {
    return new PlainBlob([super.slice(start, end)]);
  }

  override stream(): ReturnType<Blob["stream"]> {
    return new ReadableStream() as ReturnType<Blob["stream"]>;
  }
}

describe("parts of a file", () => {
  /** Of so many kilobytes, in order or not, with gaps or none. */
  const parts = fc.array(fc.tuple(fc.nat(600), fc.integer({ min: 1, max: 200 })), { maxLength: 8 });

  test.each<[string, Blob]>([
    ["by a stream of bytes", new Blob([BYTES])],
    ["where streams are not of bytes", new PlainBlob([BYTES])],
  ])("are read %s, asked for at once", async (_, blob) => {
    await fc.assert(
      fc.asyncProperty(parts, async (all) => {
        const ahead = new Ahead(blob);
        const inside = all.filter(([at, length]) => (at + length) * 1000 <= BYTES.length);
        const read = inside.map(([at, length]) => ahead.read(at * 1000, length * 1000));
        for (const [i, bytes] of (await Promise.all(read)).entries()) {
          const [at, length] = inside[i]!;
          const expected = BYTES.subarray(at * 1000, (at + length) * 1000);
          expect(Buffer.compare(bytes, expected)).toBe(0);
          giveBuffer(bytes.buffer);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("that lie beyond the end are none, and those after them are read", async () => {
    const ahead = new Ahead(new Blob([BYTES]));
    await expect(ahead.read(600_000, 200_000)).rejects.toThrow(RangeError);
    await expect(ahead.read(699_999, 1000)).rejects.toThrow(RangeError);
    expect((await ahead.read(1000, 100_000))[0]).toBe(BYTES[1000]);
  });
});

test("SHA-256 of a file, or of what is left of it", async () => {
  const file = new File([BYTES, BYTES], "two");
  const expected = createHash("sha256").update(BYTES).update(BYTES).digest("hex");
  const seen: number[] = [];
  expect(await sha256Of(file, { onProgress: (done) => seen.push(done) })).toBe(expected);
  expect(seen).toEqual([1 << 20, 1_400_000]);
  expect(await sha256Of(new File([], "none"))).toBe(createHash("sha256").digest("hex"));
  await expect(sha256Of(file, { signal: AbortSignal.abort(new Error("stop")) })).rejects.toThrow("stop");
  const shorter = Object.defineProperty(new File([BYTES], "cut"), "size", { value: 2_000_000 });
  await expect(sha256Of(shorter)).rejects.toMatchObject({
    code: "bad-input",
    message: expect.stringMatching(/cut: byte 0/),
  });
});

test("buffers are used again, as far as they are large enough and not too many", () => {
  const one = takeBuffer(1_500_000);
  giveBuffer(one);
  expect(takeBuffer(3_000_000)).not.toBe(one);
  expect(takeBuffer(10)).toBe(one);
  for (let i = 0; i < 100; i++) giveBuffer(new ArrayBuffer(1 << 20));
  expect(takeSpare().length).toBe(32);
  expect(takeSpare()).toEqual([]);
});

test("vectors and rows of a matrix are told before, as they are stored", () => {
  const source: TensorSource = { file: 0, dtype: "BF16", shape: [8], offset: 100, byteLength: 16 };
  const tensor = (source: TensorSource): Tensor => ({
    name: "w",
    role: "attn_norm",
    layer: undefined,
    shape: source.shape,
    ...storedWhole(source),
  });
  expect(storedRegions([5], tensor(source), 0, 1)).toEqual([{ fd: 5, offset: 100, byteLength: 16 }]);
  const matrix = { ...source, shape: [4, 8], byteLength: 64 };
  expect(storedRegions([5], tensor(matrix), 1, 2)).toEqual([{ fd: 5, offset: 116, byteLength: 32 }]);
  expect(storedRegions([5], { ...tensor(source), sources: [], values: [1, 2] }, 0, 1)).toEqual([]);
});

test("a disk that is full says so while others work", async () => {
  class Full extends MemoryStore {
    override flush(): void {
      throw new HostError("ENOSPC", "full");
    }
  }
  prepareFile("full", new Full(), 1);
  const fd = openSync("full", 66);
  const error = await new Promise((resolve) => fdatasync(fd, resolve));
  expect(error).toMatchObject({ code: "ENOSPC" });
  removeFiles("full");
  forgetPrepared("full");
});
