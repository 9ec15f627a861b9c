// MessagePack, https://github.com/msgpack/msgpack/blob/master/spec.md, of files that are mostly weights.

import { decode, ExtensionCodec } from "@msgpack/msgpack";
import { t } from "../../src/language/t.js";
import { ByteWriter } from "../byte-writer.js";
import type { ByteReader } from "../bytes.js";
import { badInput, LlqError } from "../errors.js";

/** Bytes of a bin (`code` undefined) or an extension (its type): where they stand in the file. */
export class Span {
  readonly code: number | undefined;
  readonly offset: number;
  readonly byteLength: number;

  constructor(code: number | undefined, offset: number, byteLength: number) {
    this.code = code;
    this.offset = offset;
    this.byteLength = byteLength;
  }
}

/** Bytes of everything else that a file may have, names and small values, and how many of these. */
const MAX_SKELETON = 1 << 24;
const MAX_VALUES = 1 << 17;

/**
 * The value between the reader's offset and `end`, in which every bin and extension is a Span. The library wants
 * a whole value in memory, and weights may be larger than that: they are cut out, and it decodes the rest.
 * @throws LlqError `bad-input` when that is not one value to the last byte
 */
export function decodeAround(r: ByteReader, end: number): { value: unknown; spans: number } {
  const { skeleton, spans } = cutOut(r, end);
  try {
    return { value: decode(skeleton, { extensionCodec: codec }), spans };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LlqError("bad-input", t`${r.source.name}: not valid MessagePack: ${why}`, { cause });
  }
}

/** In a skeleton, an extension of this type is a Span: its code (256: a bin), offset and length. */
const SPAN = 1;
const BIN = 256;

const codec = new ExtensionCodec();
codec.register({
  type: SPAN,
  encode: () => null,
  decode(data) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const code = view.getInt16(0, true);
    return new Span(code === BIN ? undefined : code, view.getFloat64(2, true), view.getFloat64(10, true));
  },
});

function cutOut(r: ByteReader, end: number): { skeleton: Uint8Array; spans: number } {
  const w = new ByteWriter();
  let spans = 0;
  let values = 0;
  for (let pending = 1; pending > 0; pending--) {
    const at = r.offset;
    if (pending > end - at)
      r.fail(t`${pending} more values cannot fit the ${end - at} bytes left`, t`the file is damaged`);
    const { children = 0, length = 0, code } = readHead(r);
    values += 1;
    if (values + children > MAX_VALUES) r.fail(t`more than ${MAX_VALUES} values`, t`not a checkpoint?`, at);
    if (length > end - r.offset) {
      r.fail(
        t`a value of ${length} bytes, but ${end - r.offset} are left`,
        t`the file is truncated or damaged`,
        at,
      );
    }
    pending += children;
    if (code === undefined) {
      const bytes = r.offset + length - at;
      if (w.length + bytes > MAX_SKELETON) {
        r.fail(t`more than ${MAX_SKELETON} bytes beside the arrays`, t`not a checkpoint?`, at);
      }
      r.offset = at;
      w.bytes(r.bytes(bytes));
    } else {
      spans++;
      writeSpan(w, code, r.offset, length);
      r.skip(length);
    }
  }
  if (r.offset !== end)
    throw badInput(t`${r.source.name}: byte ${r.offset}: ${end - r.offset} bytes after the end of a value`);
  return { skeleton: w.toBytes(), spans };
}

function writeSpan(w: ByteWriter, code: number, offset: number, length: number): void {
  w.u8(0xc7); // ext 8
  w.u8(18);
  w.u8(SPAN);
  w.i16(code);
  w.f64(offset);
  w.f64(length);
}

/** What the first bytes of a value say: values to come inside it, bytes of its own; `code` if it is to be cut out. */
interface Head {
  readonly children?: number;
  readonly length?: number;
  readonly code?: number;
}

function readHead(r: ByteReader): Head {
  const at = r.offset;
  const byte = r.u8();
  if (byte < 0x80 || byte >= 0xe0) return {}; // fixint
  if (byte < 0x90) return { children: 2 * (byte & 0x0f) };
  if (byte < 0xa0) return { children: byte & 0x0f };
  if (byte < 0xc0) return { length: byte & 0x1f };
  if (byte === 0xc1) return r.fail(t`a byte that begins no value (0xc1)`, t`the file is damaged`, at);
  if (byte < 0xc4) return {}; // nil, false, true
  if (byte < 0xc7) return { code: BIN, length: unsigned(r, 1 << (byte - 0xc4)) };
  if (byte < 0xca) return extension(r, unsigned(r, 1 << (byte - 0xc7)));
  if (byte < 0xcc) return { length: 4 << (byte - 0xca) }; // float
  if (byte < 0xd4) return { length: 1 << (byte & 3) }; // uint, int
  if (byte < 0xd9) return extension(r, 1 << (byte - 0xd4));
  if (byte < 0xdc) return { length: unsigned(r, 1 << (byte - 0xd9)) }; // str
  if (byte < 0xde) return { children: unsigned(r, 2 << (byte - 0xdc)) };
  return { children: 2 * unsigned(r, 2 << (byte - 0xde)) };
}

function extension(r: ByteReader, length: number): Head {
  return { length, code: r.i8() };
}

/** Big endian, as all numbers of MessagePack. */
function unsigned(r: ByteReader, bytes: number): number {
  let value = 0;
  for (let i = 0; i < bytes; i++) value = value * 256 + r.u8();
  return value;
}
