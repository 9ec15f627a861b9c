import type { HostBytes } from "../types.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** Characters that String.fromCharCode takes at once. */
const PIECE = 1 << 13;

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
  decodeUtf8: decode,
  encodeUtf8: (text) => encoder.encode(text),
  utf8Length: (text) => encoder.encode(text).length,
  isUtf8: (bytes) => {
    try {
      strict.decode(plain(bytes));
      return true;
    } catch {
      return false;
    }
  },
  decodeLatin1: latin1,
  // As Node does: what is no base64 is skipped, and so is what follows the end.
  decodeBase64: (text) => {
    const end = text.indexOf("=");
    const digits = (end < 0 ? text : text.slice(0, end))
      .replace(/-/g, "+")
      .replace(/_/g, "/")
      .replace(/[^A-Za-z0-9+/]/g, "");
    const whole = digits.length % 4 === 1 ? digits.slice(0, -1) : digits;
    return Uint8Array.from(atob(whole), (character) => character.charCodeAt(0));
  },
  encodeBase64: (bytes) => btoa(latin1(bytes)),
  encodeHex: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
  concatBytes: (parts) => {
    const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  },
  compareBytes: (a, b) => {
    const length = Math.min(a.length, b.length);
    for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
    return a.length - b.length;
  },
  textOf: (bytes) => (start, end) => decode(bytes.subarray(start, end)),
  latin1Of: (bytes) => (start, end) => latin1(bytes.subarray(start, end)),
  swap16: (bytes) => {
    for (let i = 0; i < bytes.length; i += 2) bytes.subarray(i, i + 2).reverse();
  },
  swap32: (bytes) => {
    for (let i = 0; i < bytes.length; i += 4) bytes.subarray(i, i + 4).reverse();
  },
};

/** The same bytes where a decoder takes them: none reads shared memory. */
function plain(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

function decode(bytes: Uint8Array): string {
  return decoder.decode(plain(bytes));
}

/** TextDecoder's latin1 is windows-1252. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += PIECE) text += String.fromCharCode(...bytes.subarray(i, i + PIECE));
  return text;
}
