import * as v from "valibot";
import { bytes, count, is, maybe, number, schema, seconds, text } from "./fields.js";

/** Any command with --part */
export const PART_DONE = v.strictObject({
  schema,
  part: is(count, "which, from 1"),
  parts: is(count, "how many there are"),
  output: is(text, "what all parts together make"),
  record: is(text, "what llq finish reads of this part"),
  elements: is(count, "weights of this part, or chunks, questions, tensors"),
  resumed: is(count, "of them, what an earlier run had done"),
  seconds,
});

/** llq finish of a model */
export const FINISHED = v.strictObject({
  schema,
  output: text,
  recipe: text,
  elements: is(count, "weights"),
  parts: count,
  seconds: is(number, "of all parts together"),
  byteLength: maybe(bytes),
  files: maybe(v.array(v.strictObject({ output: text, byteLength: bytes }))),
  tensors: maybe(
    v.array(
      v.strictObject({
        name: text,
        dtype: text,
        relativeError: is(number, "sqrt(Σ(w - ŵ)² / Σw²)"),
        maxError: is(number, "largest |w - ŵ|"),
      }),
    ),
  ),
});
