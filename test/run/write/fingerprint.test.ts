import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { contentIdentity } from "../../../src/run/parts/identity.js";
import { checkOutputs } from "../../../src/run/write/claim.js";
import { imatrixFingerprint } from "../../../src/run/write/fingerprint.js";
import { refusal } from "../../support/build/build.js";
import { scratchFolder } from "../../support/scratch.js";

const folder = scratchFolder();

test("a matrix of importances is known by all that it says, in whatever order", () => {
  const of = (...entries: [string, number[]][]) =>
    imatrixFingerprint({
      entries: new Map(entries.map(([name, values]) => [name, Float32Array.from(values)])),
    } as never);
  const own = of(["a", [1, 2]], ["b", [3]]);
  expect(of(["b", [3]], ["a", [1, 2]])).toBe(own);
  const others = [of(), of(["a", [1, 2]]), of(["a", [1, 2]], ["b", [4]]), of(["a", [1, 2]], ["c", [3]])];
  const moved = of(["a", [1]], ["b", [2, 3]]);
  expect(new Set([own, moved, ...others]).size).toBe(6);
});

test("a file is known by its length and bytes from all over it, be it short or empty", () => {
  const identity = (name: string, bytes: Uint8Array) => {
    writeFileSync(join(folder, name), bytes);
    return contentIdentity(join(folder, name));
  };
  const long = new Uint8Array(1 << 20).map((_, i) => i * 7);
  for (const bytes of [long, long.subarray(0, 100), long.subarray(0, 1)]) {
    const own = identity("a", bytes);
    expect(identity("b", bytes)).toBe(own);
    for (const at of [0, bytes.length - 1]) {
      const other = bytes.slice();
      other[at]! ^= 1;
      expect(identity("c", other)).not.toBe(own);
    }
    expect(identity("d", bytes.subarray(0, -1))).not.toBe(own);
  }
  expect(identity("e", new Uint8Array(0))).toBe(createHash("sha256").update("0").digest("hex"));
});

test("what is no name of an output is refused before anything is written", () => {
  const file = join(folder, "out.gguf");
  expect(refusal(() => checkOutputs([file, ""], {}))).toBe("usage: an output has no name");
  expect(refusal(() => checkOutputs([file, "-"], {}))).toMatch(
    /^usage: -: outputs are written in many places at once/,
  );
  expect(refusal(() => checkOutputs([file, join(folder, "-")], {}))).toBe("accepted");
});
