import type { HostRecords } from "../types.js";

const none = (): never => {
  throw new Error("nothing is kept for other runs here");
};

// What a run has done is for itself: where a page is closed, its outputs go.
export const { recordsLast, encode, decode, decodeMulti }: HostRecords = {
  recordsLast: false,
  encode: () => new Uint8Array(0),
  decode: none,
  decodeMulti: none,
};
