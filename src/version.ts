import { decodeUtf8 } from "#host/bytes";
import { readFileSync } from "#host/files";
import { installedPath } from "./installed.js";

/** Bundles have it built in. */
declare const LLQ_VERSION: string | undefined;

/** This program's version, as in package.json. */
export const VERSION: string =
  typeof LLQ_VERSION === "string"
    ? LLQ_VERSION
    : JSON.parse(decodeUtf8(readFileSync(installedPath("package.json")))).version;
