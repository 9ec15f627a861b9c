import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { encodeFrame, frameContent } from "../../../src/run/parts/frames.js";

/** By hand: length u32 | CRC-32 u32 | content, both little-endian. */
function frame(content: string, { length = content.length, crc = crc32(content) } = {}): Uint8Array {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(length, 0);
  head.writeUInt32LE(crc, 4);
  return Buffer.concat([head, Buffer.from(content)]);
}

describe("a frame", () => {
  test("has the check value of CRC-32, whatever its place in a buffer", () => {
    const bytes = Buffer.concat([Buffer.from("xyz"), frame("123456789", { crc: 0xcbf43926 })]);
    expect(Buffer.from(frameContent(bytes.subarray(3))!).toString()).toBe("123456789");
  });

  test.each([
    ["the right length and another checksum", frame("123456789", { crc: 0xcbf43927 })],
    ["a length too small and the right checksum", frame("123456789", { length: 8 })],
    ["a length too large and the right checksum", frame("123456789", { length: 10 })],
    ["a length that only its low half has right", frame("123456789", { length: 9 + 2 ** 16 })],
    ["neither", frame("123456789", { length: 1, crc: 1 })],
    ["nothing but another's checksum", frame("", { crc: 1 })],
  ])("with %s is none", (_, bytes) => {
    expect(frameContent(bytes)).toBeUndefined();
  });

  test.each<[record: unknown, content: string]>([
    // the MessagePack specification's bytes
    [null, "c0"],
    [true, "c3"],
    [7, "07"],
    ["a", "a161"],
    [[1, 2], "920102"],
    [{ end: true }, "81a3656e64c3"],
    [new Uint8Array([1, 2]), "c4020102"],
  ])("of %j", (record, content) => {
    const bytes = Buffer.from(content, "hex");
    const head = Buffer.alloc(8);
    head.writeUInt32LE(bytes.length, 0);
    head.writeUInt32LE(crc32(bytes), 4);
    expect(Buffer.from(encodeFrame(record)).toString("hex")).toBe(head.toString("hex") + content);
  });

  test("of nothing at all is whole", () => {
    expect(frameContent(frame(""))).toEqual(Buffer.from(""));
  });
});
