import type { Hash, HostHash } from "../types.js";
import { Sha256 } from "./sha256.js";

/** Of CRC-32, for each byte. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

export const { createHash, crc32 }: HostHash = {
  // Others than SHA-256 are for no more than Node's commands.
  createHash: (): Hash => new Sha256(),
  crc32: (bytes, before = 0) => {
    let rest = ~before;
    for (let i = 0; i < bytes.length; i++) rest = TABLE[(rest ^ bytes[i]!) & 0xff]! ^ (rest >>> 8);
    return ~rest >>> 0;
  },
};
