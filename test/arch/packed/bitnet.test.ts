import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import type { Container } from "../../../formats/container.js";
import { Kernels } from "../../../src/kernels/kernels.js";
import { openModel } from "../../../src/model.js";
import { carriedOver } from "../../../src/quant/carried.js";
import { decodeRows } from "../../../src/rows/packed/index.js";
import { readStoredRows, rowBytes } from "../../../src/rows/rows.js";
import { storedWhole, type Tensor } from "../../../src/tensor.js";
import { attack } from "../../support/damage.js";
import { logitsOf } from "../../support/logits.js";
import { scratchFolder } from "../../support/scratch.js";
import { packedTarget, rowsOf, sha256, unpack } from "./unpacked.js";

// Weights of three values, as transformers' pack_weights has them; golden/make/families_2026/ternary.py.
const scratch = scratchFolder();
const folder = new URL("../../golden/bitnet-packed/", import.meta.url).pathname;

test("packed weights of three values say what transformers' says of them unpacked", async () => {
  const { tokens, positions } = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8"));
  const bytes = gunzipSync(readFileSync(join(folder, "logits.f32.gz")));
  const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const logits = await logitsOf(openModel(folder), Int32Array.from(tokens.slice(0, positions)));
  const range = Math.max(...expected) - Math.min(...expected);
  const largest = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - logits[i]!)), 0);
  expect(largest / range).toBeLessThanOrEqual(2e-4);
});

interface Golden {
  readonly shape: number[];
  readonly sha256: string;
  readonly blocks: string;
  readonly factor: number;
}

const golden: Record<string, Golden> = JSON.parse(
  readFileSync("test/golden/containers/packed-bitnet.json", "utf8"),
);
const told = { quantization_config: { quant_method: "bitnet" } };

test.each(Object.entries(golden))("%s is what transformers unpacks, and TQ2_0 its numbers", (name, each) => {
  const container = unpack("bitnet", told);
  const source = container.tensors.get(`${name}.weight`)!;
  for (const step of [1, 5, 1000])
    expect(sha256(rowsOf(container, source, step).map((x) => x + 0)), `${step}`).toBe(each.sha256);
  const tensor: Tensor = {
    ...storedWhole(source),
    name: "x.weight",
    role: "ffn_up",
    layer: 0,
    shape: each.shape,
  };
  const [weight, scale, ...more] = carriedOver({ container }, tensor)!.tensors;
  expect(more).toEqual([]);
  expect(scale).toMatchObject({ name: "x.scale", shape: [1], values: [each.factor] });
  expect(weight).toMatchObject({ name: "x.weight", dtype: "TQ2_0", shape: each.shape });
  for (const step of [1, 3, 1000]) expect(bytesOf(container, weight!, step)).toBe(each.blocks);
});

/** SHA-256 of a tensor's rows as they are written, `step` at a time. */
function bytesOf({ files }: Pick<Container, "files">, tensor: Tensor, step: number): string {
  const kernels = new Kernels();
  const descriptors = files.map((file) => openSync(file, "r"));
  const hash = createHash("sha256");
  for (let first = 0; first < tensor.shape[0]!; first += step) {
    kernels.reset();
    const count = Math.min(step, tensor.shape[0]! - first);
    const length = count * rowBytes(tensor, tensor.dtype);
    const address = kernels.reserve(length);
    readStoredRows(kernels, descriptors, tensor, first, count, address);
    hash.update(kernels.bytes(address, length));
  }
  for (const fd of descriptors) closeSync(fd);
  return hash.digest("hex");
}

test("damage never gets through as anything but a refusal", () => {
  const { accepted, refused } = attack(packedTarget("bitnet", scratch, told), 300, 1);
  expect(Math.min(accepted, refused)).toBeGreaterThan(0);
});

test("rows are right where reading them makes the memory grow", () => {
  const container = unpack("bitnet", told);
  const source = container.tensors.get("scaled.weight")!;
  const kernels = new Kernels();
  const size = 12 * 512 * 4;
  kernels.reserve(kernels.memory.buffer.byteLength - kernels.mark() - size - 256);
  const address = kernels.reserve(size);
  const before = kernels.memory.buffer.byteLength;
  const fd = openSync(container.files[0]!, "r");
  decodeRows(kernels, [fd], "t", source, 0, 12, address);
  closeSync(fd);
  expect(kernels.memory.buffer.byteLength).toBeGreaterThan(before);
  expect(sha256(kernels.floats(address, size / 4).map((x) => x + 0))).toBe(golden["scaled"]!.sha256);
});
