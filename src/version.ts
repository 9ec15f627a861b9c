import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** This program's version, as in package.json. */
export const VERSION: string = JSON.parse(
  readFileSync(createRequire(import.meta.url).resolve("#package"), "utf8"),
).version;
