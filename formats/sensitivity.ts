// What rounding each tensor of a model does to what the model says: JSON, written by llq sensitivity.
//
// { "llq": "sensitivity 1", "architecture", "fingerprint",    the model; the fingerprint is made in src/quant
//   "text", "context", "chunks",                              what was run through it
//   "imatrix": sha256 or null,                                the importance matrix that guided the rounding
//   "tensors": [ { "name", "shape", "kld": { "Q4_K": nats, ... } } ] }
//
// kld: mean Kullback-Leibler divergence, over the tokens of the text, from the model to the one in which this tensor
// alone is rounded to the type.

import * as v from "valibot";
import { encodeUtf8 } from "#host/bytes";
import { t } from "../src/language/t.js";
import { readSmallFile } from "./bytes.js";
import { nameProblem } from "./container.js";
import { type DTypeName, findDType } from "./dtype.js";
import { badInput } from "./errors.js";
import { parseJson } from "./json.js";

export interface Sensitivity {
  /** The file it was read from. */
  readonly file: string;
  readonly architecture: string;
  /** Of the model's structure and its vectors (modelFingerprint). */
  readonly fingerprint: string;
  readonly text: string;
  /** Tokens in a chunk, and chunks that were run. */
  readonly context: number;
  readonly chunks: number;
  readonly imatrix: string | null;
  readonly tensors: ReadonlyMap<string, TensorSensitivity>;
}

export interface TensorSensitivity {
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** In nats, by type. */
  readonly kld: ReadonlyMap<DTypeName, number>;
}

const MAX_BYTES = 64 << 20;
const MAX_VALUES = 2 ** 20;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const schema = v.object({
  llq: v.literal("sensitivity 1"),
  architecture: v.string(),
  fingerprint: sha256,
  text: v.string(),
  context: count,
  chunks: count,
  imatrix: v.nullable(sha256),
  tensors: v.pipe(
    v.array(
      v.object({
        name: v.string(),
        shape: v.pipe(v.array(count), v.minLength(1), v.maxLength(4)),
        kld: v.record(v.string(), v.pipe(v.number(), v.finite(), v.minValue(0))),
      }),
    ),
    v.minLength(1),
  ),
});

/** @throws LlqError `bad-input` when the file is damaged or holds something else */
export function openSensitivity(path: string): Sensitivity {
  return parseSensitivity(path, readSmallFile(path, MAX_BYTES));
}

/** @throws LlqError `bad-input` */
export function parseSensitivity(file: string, bytes: Uint8Array): Sensitivity {
  const { success, output, issues } = v.safeParse(schema, parseJson(file, bytes, MAX_VALUES));
  if (!success) {
    const { message } = issues[0];
    const where = v.getDotPath(issues[0]);
    const text = t`${file}: no sensitivities: ${where === null ? "" : `${where}: `}${message}`;
    throw badInput(text, t`llq sensitivity writes such files`);
  }
  const tensors = new Map<string, TensorSensitivity>();
  for (const { name, shape, kld } of output.tensors) {
    const problem = nameProblem(name);
    if (problem !== undefined) throw badInput(t`${file}: the name of a tensor ${problem}`);
    if (tensors.has(name)) throw badInput(t`${file}: tensor ${name} appears twice`);
    const types = Object.entries(kld).map(([type, value]): [DTypeName, number] => {
      const found = findDType(type);
      if (found === undefined)
        throw badInput(t`${file}: tensor ${name}: type ${JSON.stringify(type)} is unknown`);
      return [found, value];
    });
    if (types.length === 0) throw badInput(t`${file}: tensor ${name} has no measurement`);
    tensors.set(name, { shape, kld: new Map(types) });
  }
  return { ...output, file, tensors };
}

export function sensitivityFile({ file: _, tensors, ...rest }: Sensitivity): Uint8Array {
  const rows = [...tensors].map(([name, { shape, kld }]) => ({ name, shape, kld: Object.fromEntries(kld) }));
  return encodeUtf8(`${JSON.stringify({ llq: "sensitivity 1", ...rest, tensors: rows }, null, 1)}\n`);
}
