import * as v from "valibot";
import { bytes, count, flag, is, maybe, number, schema, text } from "./fields.js";

const value = is(v.unknown(), "a number, a text, true or false, or an array of these; beyond 2^53 a text");

/** llq inspect */
export const INSPECTED = v.strictObject({
  schema,
  path: text,
  format: is(text, "gguf, safetensors, torch, flax or llama2.c"),
  files: v.array(text),
  architecture: is(text, "by GGUF's name"),
  hparams: is(v.object({ blockCount: count, contextLength: count, vocabSize: count }), "hyperparameters"),
  tokenizer: v.strictObject({ kind: text, pre: v.unknown(), tokens: count }),
  metadata: is(
    v.record(v.string(), v.unknown()),
    "by key, as GGUF has it; an array of many items as its length",
  ),
  totals: v.strictObject({ tensors: count, elements: count, byteLength: bytes, bitsPerWeight: number }),
  tensors: v.array(
    v.strictObject({
      name: is(text, "in GGUF"),
      role: is(text, "what it is for"),
      shape: is(v.array(count), "outermost dimension first"),
      dtype: text,
      byteLength: bytes,
    }),
  ),
});

/** llq inspect --key, llq meta --key */
export const VALUE = v.strictObject({
  schema,
  path: text,
  key: text,
  type: is(text, "such as u32, or string[]"),
  value,
});

/** llq meta */
export const METADATA = v.strictObject({
  schema,
  path: text,
  files: v.array(text),
  metadata: is(v.record(v.string(), v.strictObject({ type: text, value })), "by key"),
});

const hash = {
  digest: v.picklist(["sha1", "sha256", "uuid"]),
  value: is(text, "in hexadecimal"),
  tensor: maybe(is(text, "left out for all tensors together")),
};

/** llq hash */
export const HASHES = v.strictObject({ schema, path: text, hashes: v.array(v.strictObject(hash)) });

/** llq hash --check */
export const HASH_CHECK = v.strictObject({
  schema,
  path: text,
  manifest: text,
  results: v.array(v.strictObject({ ...hash, found: maybe(text), passed: flag })),
  extra: is(v.array(text), "hashes that the manifest does not have"),
});

const amount = v.strictObject({ bytes, formula: is(text, "how it is reckoned") });

/** llq fit */
export const FIT = v.strictObject({
  schema,
  model: text,
  architecture: text,
  contextLength: is(count, "tokens that it was trained for"),
  memory: is(bytes, "that the model may take"),
  weights: is(count, "how many"),
  context: count,
  kvType: text,
  suggested: maybe(is(text, "the recipe with the most bits that fits")),
  kv: is(amount, "keys and values, or what a model keeps in their place"),
  compute: amount,
  overhead: amount,
  recipes: v.array(
    v.strictObject({
      recipe: maybe(is(text, "left out for the file as it is")),
      needsImatrix: flag,
      weightBytes: bytes,
      bitsPerWeight: number,
      totalBytes: is(bytes, "of llama.cpp when it runs"),
      fits: flag,
      largestContext: maybe(is(count, "that fits")),
      generate: is(
        v.strictObject({
          totalBytes: bytes,
          weights: bytes,
          states: bytes,
          working: bytes,
          shared: bytes,
          program: bytes,
        }),
        "the same of llq generate",
      ),
    }),
  ),
  threads: is(count, "of llq generate"),
});
