import * as crypto from "node:crypto";
import * as zlib from "node:zlib";
import type { HostHash } from "../types.js";

export const { createHash }: Pick<HostHash, "createHash"> = crypto;
export const { crc32 }: Pick<HostHash, "crc32"> = zlib;
