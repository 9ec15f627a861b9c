import * as messagePack from "@msgpack/msgpack";
import type { HostRecords } from "../types.js";

export const { recordsLast, encode, decode, decodeMulti }: HostRecords = {
  recordsLast: true,
  ...messagePack,
};
