// safetensors:  header length u64 | header, JSON | tensor data
// See safetensors.md for the layout and for what is refused.
import { t } from "../../src/language/t.js";
import { ByteReader, type ByteSource, withFile } from "../bytes.js";
import type { Container, RawSource, TensorSource } from "../container.js";
import { elementCount } from "../dtype.js";
import { ELEMENT_TYPES } from "../elements.js";
import { badInput, LlqError } from "../errors.js";
import { refuseImpostor } from "../impostors.js";
import { type Entry, HeaderParser } from "./header.js";

/** The format's own limit, in bytes. */
const MAX_HEADER = 100_000_000;

/**
 * Everything in one safetensors file but the tensor data, whose place is checked.
 * @throws LlqError `bad-input` when the file breaks a rule of safetensors.md, `unsupported` for a type of
 * unknown size
 */
export function readSafetensors(source: ByteSource): Container {
  const start = source.read(0, Math.min(64, source.byteLength));
  if (start[8] !== 0x7b) refuseImpostor(source.name, start); // where a header begins with {
  const r = new ByteReader(source);
  const length = r.u64(t`the length of a header`);
  if (length > MAX_HEADER) {
    r.fail(t`a header of ${length} bytes; at most ${MAX_HEADER} are allowed`, t`not a safetensors file?`, 0);
  }
  r.skip(length);
  const { entries, metadata } = new HeaderParser(source, length).parse();
  const dataStart = r.offset;
  for (const entry of entries) checkSize(source.name, entry);
  checkCover(source.name, entries, r.remaining);
  const tensors = new Map<string, TensorSource>();
  const opaque = new Map<string, string>();
  const raw = new Map<string, RawSource>();
  for (const { name, dtype: stored, shape, begin, end } of entries) {
    const dtype = ELEMENT_TYPES[stored]?.dtype;
    const [offset, byteLength] = [dataStart + begin, end - begin];
    if (dtype !== undefined) tensors.set(name, { file: 0, offset, byteLength, shape, dtype });
    else {
      opaque.set(name, stored);
      raw.set(name, { file: 0, offset, byteLength, shape, type: stored });
    }
  }
  return { format: "safetensors", files: [source.name], tensors, opaque, raw, metadata };
}

function checkSize(file: string, { name, dtype, shape, begin, end }: Entry): void {
  const type = Object.hasOwn(ELEMENT_TYPES, dtype) ? ELEMENT_TYPES[dtype] : undefined;
  if (type === undefined) {
    throw new LlqError(
      "unsupported",
      t`${file}: tensor ${name} has unknown type ${JSON.stringify(dtype.slice(0, 80))}`,
    );
  }
  const bytes = (elements(file, name, shape) * type.bits) / 8;
  if (end - begin !== bytes) {
    const what = t`${dtype} of shape [${shape.join(", ")}] takes ${bytes} bytes`;
    throw badInput(t`${file}: tensor ${name}: ${what}, but its data_offsets span ${end - begin}`);
  }
}

function elements(file: string, name: string, shape: readonly number[]): number {
  try {
    return elementCount(shape);
  } catch (cause) {
    if (!(cause instanceof LlqError)) throw cause;
    throw badInput(t`${file}: tensor ${name}: ${cause.message}`);
  }
}

/** The tensors follow each other without a hole from the first byte of the data to the last, in any order. */
function checkCover(file: string, entries: readonly Entry[], dataLength: number): void {
  let at = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) {
      const what = begin > at ? t`leaving a hole` : t`overlapping another tensor`;
      throw badInput(t`${file}: tensor ${name} begins at data byte ${begin}, expected ${at}, ${what}`);
    }
    at = end;
  }
  if (at !== dataLength) {
    const hint = at > dataLength ? t`the file is truncated: fetch it again` : t`the file is damaged`;
    throw badInput(t`${file}: the tensors take ${at} bytes, but the file has ${dataLength} for them`, hint);
  }
}

/** One safetensors file. */
export function openSafetensors(path: string): Container {
  return withFile(path, readSafetensors);
}
