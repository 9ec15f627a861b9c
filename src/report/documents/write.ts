import * as v from "valibot";
import { bytes, count, flag, is, maybe, number, schema, seconds, text } from "./fields.js";

const quote = v.strictObject({
  price: is(number, "what the type costs, in nats or without unit (see bySize.kind)"),
  smaller: maybe(is(v.strictObject({ dtype: text, bytes, price: number }), "the next smaller type")),
  larger: maybe(is(v.strictObject({ dtype: text, bytes, price: number }), "the next larger type")),
});

const bySize = v.strictObject({
  limit: is(bytes, "bytes that the whole file may have"),
  kind: is(
    v.picklist(["measured", "prior"]),
    "measured: prices are divergences in nats; prior: they only order",
  ),
  price: is(number, "of all tensors together"),
  mix: maybe(
    is(v.strictObject({ name: text, byteLength: bytes, price: number }), "the best fixed mix that fits"),
  ),
  remarks: v.array(text),
});

const about = {
  recipe: is(text, "the mix, such as Q4_K_M, or how the types were chosen"),
  bitsPerWeight: number,
  unguided: is(v.array(text), "tensors of which the importance matrix says nothing"),
  remarks: is(v.array(text), "what a user should know of how the model was read"),
  bySize: maybe(is(bySize, "how types were chosen for a file of a size")),
};

const written = {
  output: text,
  byteLength: bytes,
  elements: is(count, "weights"),
  seconds,
  resumed: is(count, "tensors that an earlier run had finished"),
  tensors: v.array(
    v.strictObject({
      name: text,
      dtype: text,
      relativeError: is(number, "sqrt(Σ(w - ŵ)² / Σw²)"),
      maxError: is(number, "largest |w - ŵ|"),
    }),
  ),
  fallbacks: is(
    v.array(v.strictObject({ name: text, dtype: text, reason: text })),
    "tensors whose rows are no whole number of the wanted type's blocks",
  ),
  ...about,
};

const calibration = v.object({
  tokens: is(count, "of the text that were run"),
  steps: count,
  resumed: is(count, "steps that an earlier run had done"),
  seconds,
  tensors: v.array(v.object({ name: text, dtype: text, plainError: number, error: number })),
});

/** llq convert and llq quantize, of one file. */
export const WRITTEN = v.strictObject({
  schema,
  ...written,
  calibration: maybe(is(calibration, "of error feedback (--calibrate)")),
});

/** The same, of several: parts of a model, or a model in several types. */
export const WRITTEN_PARTS = v.strictObject({
  schema,
  files: v.array(v.strictObject(written)),
  calibration: maybe(calibration),
});

const planned = {
  ...about,
  byteLength: is(bytes, "of all files together"),
  elements: is(count, "weights"),
  peakMemory: is(bytes, "of the process, about"),
  files: v.array(v.strictObject({ output: text, byteLength: bytes })),
  tensors: v.array(
    v.strictObject({
      name: text,
      shape: is(v.array(count), "outermost dimension first"),
      from: is(text, "type it is stored in"),
      to: is(text, "type it becomes"),
      byteLength: bytes,
      reason: is(text, "why this type"),
      quote: maybe(is(quote, "for a file of a size")),
    }),
  ),
};

/** llq quantize --dry-run */
export const PLANNED = v.strictObject({ schema, ...planned });

/** The same, of several types. */
export const PLANNED_TOGETHER = v.strictObject({
  schema,
  byteLength: is(bytes, "of all files of all types together"),
  peakMemory: is(bytes, "of the process, about, when all are written at once"),
  outputs: v.array(v.strictObject(planned)),
});

/** llq copy, split, merge, and meta with -o */
export const COPIED = v.strictObject({
  schema,
  files: v.array(v.strictObject({ output: text, tensors: count, byteLength: bytes })),
});

/** llq push */
export const PUSHED = v.strictObject({
  schema,
  url: is(text, "of the repository"),
  branch: text,
  uploaded: is(flag, "false without --yes"),
  commit: maybe(is(text, "that has the files")),
  unchanged: maybe(is(v.array(text), "files that were there already")),
  files: v.array(v.strictObject({ path: text, byteLength: bytes, sha256: text })),
  card: is(text, "README.md"),
});

/** llq imatrix */
export const IMATRIX = v.strictObject({
  schema,
  model: maybe(text),
  text: maybe(text),
  output: text,
  byteLength: bytes,
  entries: is(count, "matrices"),
  datasets: v.array(text),
  chunks: count,
  chunkSize: is(count, "tokens"),
  resumed: maybe(is(count, "chunks that an earlier run had done")),
  seconds: maybe(seconds),
  tokensPerSecond: maybe(number),
});

/** llq imatrix --show-statistics */
export const IMATRIX_STATISTICS = v.strictObject({
  schema,
  file: text,
  matrices: v.array(
    v.strictObject({
      tensor: text,
      layer: maybe(is(count, "left out beside the blocks")),
      name: is(text, "in each block, such as ffn_down"),
      sum: is(number, "of the activations: means of squares, one for each column"),
      min: number,
      max: number,
      mean: number,
      deviation: is(number, "standard deviation"),
      active: is(number, "share of the columns that are above 1e-5"),
      columns: is(count, "of experts those that saw a token"),
      entropy: is(number, "in bits, of the activations as shares of their sum"),
      evenness: is(number, "the same, as a share of what so many columns can have"),
      outliers: is(number, "share of the columns that lie more than a standard deviation above the mean"),
      similarity: is(number, "cosine of the angle to the same matrix of the block before; 0 without one"),
    }),
  ),
  layers: is(
    v.array(v.strictObject({ layer: count, sum: number, outliers: number, similarity: number })),
    "means over a block's matrices, by their columns",
  ),
  empty: is(v.array(text), "entries that no token has reached"),
});

/** llq sensitivity */
export const SENSITIVITY = v.strictObject({
  schema,
  model: text,
  architecture: text,
  fingerprint: is(text, "of the model's structure and vectors"),
  text,
  context: is(count, "tokens in a chunk"),
  chunks: count,
  imatrix: is(v.nullable(text), "SHA-256 of the importance matrix"),
  output: text,
  roundings: is(count, "tensors times types"),
  runs: count,
  resumed: is(count, "runs that were done already"),
  seconds,
  tensors: v.array(
    v.strictObject({
      name: text,
      kld: is(v.record(v.string(), number), "divergence in nats with this tensor alone rounded, by type"),
    }),
  ),
});

/** llq verify */
export const VERIFIED = v.strictObject({
  schema,
  file: text,
  passed: flag,
  tensors: v.array(
    v.strictObject({
      name: text,
      dtype: text,
      verdict: is(
        v.picklist(["identical", "close", "wrong"]),
        "identical: to the byte; close: within bounds",
      ),
      faults: is(v.array(text), "what is wrong, in words"),
      relativeError: number,
    }),
  ),
});
