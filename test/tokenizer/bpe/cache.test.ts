import { expect, test } from "vitest";
import { Prefixes } from "../../../src/tokenizer/bpe/prefixes.js";
import { PieceCache } from "../../../src/tokenizer/cache.js";

test("what is cached of a long text is bounded, in length and in number", () => {
  const cache = new PieceCache();
  const ids = Int32Array.of(7);
  cache.set("a".repeat(64), ids);
  cache.set("a".repeat(65), ids);
  expect([cache.get("a".repeat(64)), cache.get("a".repeat(65))]).toEqual([ids, undefined]);
  for (let i = 1; i < 65536; i++) cache.set(`${i}`, ids);
  expect([cache.get("1"), cache.get("65535")]).toEqual([ids, ids]);
  cache.set("one more", ids);
  expect([cache.get("1"), cache.get("one more")]).toEqual([undefined, ids]);
});

test("hashes of parts are those of the parts, for texts of any length", () => {
  const units = Uint16Array.from({ length: 2000 }, (_, i) => (i * 7919) & 0xffff);
  const prefixes = new Prefixes();
  for (const [start, end] of [
    [0, 3],
    [5, 260],
    [0, 2000],
    [1, 256],
    [0, 255],
    [3, 700],
  ] as const) {
    prefixes.take(units, start, end);
    const length = end - start;
    for (const at of [1, length >> 1, length - 1]) {
      const [left, right] = [new Prefixes(), new Prefixes()];
      left.take(units, start, start + at);
      right.take(units, start + at, end);
      expect([prefixes.left(at), prefixes.right(at)]).toEqual([left.left(at), right.left(length - at)]);
    }
  }
});
