import * as v from "valibot";
import { crc32 } from "#host/hash";
import { encode } from "#host/records";

// Files that grow record by record:  byte length u32 | CRC-32 u32 | a MessagePack record.

/** Bytes before a frame's record. */
export const FRAME_HEAD = 8;

/** A record with what goes before it. */
export function encodeFrame(record: unknown): Uint8Array {
  const bytes = encode(record);
  const frame = new Uint8Array(FRAME_HEAD + bytes.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint32(4, crc32(bytes), true);
  frame.set(bytes, FRAME_HEAD);
  return frame;
}

/** The MessagePack of a frame; undefined when it is not what was written. */
export function frameContent(frame: Uint8Array): Uint8Array | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const bytes = frame.subarray(FRAME_HEAD);
  const isWhole = view.getUint32(0, true) === bytes.length && view.getUint32(4, true) === crc32(bytes);
  return isWhole ? bytes : undefined;
}

/** A count, a length or a place in a record. */
export const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
