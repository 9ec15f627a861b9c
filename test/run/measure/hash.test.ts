import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DIGESTS, hashTensors } from "../../../src/run/measure/hash.js";
import { scratchFolder } from "../../support/scratch.js";

const folder = scratchFolder();

/** A container of tensors of four bytes each: their number, as F32 has it. */
function containerOf(names: readonly string[]) {
  const path = join(folder, `${names.length}`);
  writeFileSync(path, new Uint8Array(Float32Array.from(names.keys()).buffer));
  const source = { file: 0, byteLength: 4, dtype: "F32" as const, shape: [1] };
  const tensors = new Map(names.map((name, i) => [name, { ...source, offset: 4 * i }]));
  return { format: "gguf" as const, files: [path], tensors, opaque: new Map(), metadata: new Map() };
}

test("what gguf_hash.py passes over by the ends of names, and nothing else", async () => {
  const passed = [
    "blk.0.attention.bias",
    "transformer.h.3.attention.masked_bias",
    "model.layers.1.self_attn.rotary_emb.inv_freq",
  ];
  const hashed = [
    "blk.0.attention.bias.weight",
    "attention.bias",
    "blk.0.attention_bias",
    "blk.0.self_attention.bias",
    "blk.0.attention.unmasked_bias",
    "blk.0.attention.masked_biases",
    "rotary_emb.inv_freq",
    "blk.0.rotary_emb.inv_freqs",
    "blk.0.rotary_emb.inv-freq",
    "blk.0.attn_q.bias",
  ];
  const container = containerOf([...passed, ...hashed]);
  const seen: number[][] = [];
  const onProgress = (done: number, total: number) => seen.push([done, total]);
  const lines = await hashTensors(container, { digests: ["sha256"], onProgress });
  expect(lines.map(({ tensor }) => tensor)).toEqual([...hashed, undefined]);
  // of all of them together, in order
  const bytes = new Uint8Array(Float32Array.from(hashed.keys(), (i) => i + passed.length).buffer);
  expect(lines.at(-1)!.value).toBe(createHash("sha256").update(bytes).digest("hex"));
  expect(seen).toEqual(hashed.map((_, i) => [4 * (i + 1), 4 * hashed.length]));
});

test("each digest of each tensor, then of all; a UUID of all alone", async () => {
  const kinds = async (options: object) =>
    (await hashTensors(containerOf(["a", "b"]), options)).map(({ digest, tensor }) => `${digest} ${tensor}`);
  const whole = ["sha1 undefined", "sha256 undefined", "uuid undefined"];
  expect(await kinds({})).toEqual(["sha1 a", "sha256 a", "sha1 b", "sha256 b", ...whole]);
  expect(await kinds({ tensors: false })).toEqual(whole);
  expect(await kinds({ digests: ["sha1"] })).toEqual(["sha1 a", "sha1 b", "sha1 undefined"]);
  expect(await kinds({ digests: ["uuid"] })).toEqual(["uuid undefined"]);
  expect(DIGESTS).toEqual(["sha1", "sha256", "uuid"]);
});

test("a UUID is version 5, of the first 16 bytes of the SHA-1 of namespace and bytes", async () => {
  const [line] = await hashTensors(containerOf(["a", "b"]), { digests: ["uuid"] });
  const namespace = Buffer.from("ef001206dadc5f6da15f3359e577d4e5", "hex"); // llama.cpp's gguf-hash
  const sha1 = createHash("sha1")
    .update(namespace)
    .update(new Uint8Array(Float32Array.of(0, 1).buffer));
  const hex = sha1.digest("hex");
  const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16);
  expect(line!.value.replaceAll("-", "")).toBe(
    `${hex.slice(0, 12)}5${hex.slice(13, 16)}${variant}${hex.slice(17, 32)}`,
  );
  expect(line!.value).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
