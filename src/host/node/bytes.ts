import { Buffer, isUtf8 as isBufferUtf8 } from "node:buffer";
import type { HostBytes } from "../types.js";

// Twice as fast as TextDecoder and TextEncoder.

/** The same bytes, by the methods of Buffer. */
function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

export const {
  decodeUtf8,
  encodeUtf8,
  utf8Length,
  isUtf8,
  decodeLatin1,
  decodeBase64,
  encodeBase64,
  encodeHex,
  concatBytes,
  compareBytes,
  textOf,
  latin1Of,
  swap16,
  swap32,
}: HostBytes = {
  decodeUtf8: (bytes) => bufferOf(bytes).toString(),
  encodeUtf8: (text) => Buffer.from(text),
  utf8Length: (text) => Buffer.byteLength(text),
  isUtf8: (bytes) => isBufferUtf8(bytes),
  decodeLatin1: (bytes) => bufferOf(bytes).toString("latin1"),
  decodeBase64: (text) => Buffer.from(text, "base64"),
  encodeBase64: (bytes) => bufferOf(bytes).toString("base64"),
  encodeHex: (bytes) => bufferOf(bytes).toString("hex"),
  concatBytes: (parts) => Buffer.concat(parts),
  compareBytes: (a, b) => Buffer.compare(a, b),
  textOf: (bytes) => {
    const buffer = bufferOf(bytes);
    return (start, end) => buffer.toString("utf8", start, end);
  },
  latin1Of: (bytes) => {
    const buffer = bufferOf(bytes);
    return (start, end) => buffer.toString("latin1", start, end);
  },
  swap16: (bytes) => void bufferOf(bytes).swap16(),
  swap32: (bytes) => void bufferOf(bytes).swap32(),
};
