import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Kernels } from "../../src/kernels/kernels.js";
import { checksum, checksumOf } from "../../src/run/write/checksum.js";
import { Random } from "../support/random.js";
import { scratchFolder } from "../support/scratch.js";

const folder = scratchFolder();
const kernels = new Kernels();

function of(bytes: Uint8Array): number {
  kernels.reset();
  const address = kernels.reserve(bytes.length);
  kernels.bytes(address, bytes.length).set(bytes);
  return checksumOf(kernels, address, bytes.length);
}

function noise(length: number): Uint8Array {
  const random = new Random(length);
  return Uint8Array.from(random.floats(length), (value) => Math.abs(value) * 1e6);
}

test.each([0, 1, 31, 32, 33, 1000])("every bit of %i bytes matters, and their number", (length) => {
  const bytes = noise(length);
  const sums = new Set([of(bytes), of(Uint8Array.of(...bytes, 0))]);
  for (let bit = 0; bit < 8 * length; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    sums.add(of(bytes));
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  expect(sums.size).toBe(2 + 8 * length);
});

test("so does where bytes are, and where zeros are among zeros", () => {
  const [a, b] = [noise(512), noise(1024).subarray(512)];
  const zeros = new Uint8Array(512);
  const orders = [
    [a, b],
    [b, a],
    [a, zeros],
    [zeros, a],
    [zeros, zeros],
  ].map((parts) => of(Buffer.concat(parts)));
  expect(new Set(orders).size).toBe(orders.length);
});

test.each([1, (1 << 18) + 7, 3 << 18])(
  "a file of %i bytes, read in pieces, has the sum of the whole",
  (length) => {
    const path = join(folder, "region");
    const bytes = noise(length);
    writeFileSync(path, Buffer.concat([Uint8Array.of(9, 9), bytes]));
    const fd = openSync(path, "r");
    const found = checksum({ file: { fd, name: path }, offset: 2, byteLength: length }, kernels);
    closeSync(fd);
    expect(found.checksum).toBe(of(bytes));
  },
);
