import process from "node:process";
import { setFlagsFromString } from "node:v8";
import type { HostEngine } from "../types.js";

const NODE = Number.parseInt(process.versions.node, 10);
/** Has relaxed SIMD behind a flag. */
const FLAGGED = 20;
/** Earlier the i32 product is not even tried: V8 compiled it wrongly until it came to optimize it. */
const I32_SINCE = 24;

export const { engineName, relaxedDots, allowRelaxed, pairable }: HostEngine = {
  engineName: `Node ${process.version} on ${process.arch}`,
  relaxedDots: NODE >= I32_SINCE ? ["i16", "i32"] : ["i16"],
  allowRelaxed: () => {
    if (NODE === FLAGGED) setFlagsFromString("--experimental-wasm-relaxed-simd");
  },
  pairable: () => {
    const version = /^(\d+\.\d+)\..*-node/.exec(process.versions.v8)?.[1];
    if (process.arch !== "x64" || version === undefined) return undefined;
    return { version, setFlag: (flag) => setFlagsFromString(`--${flag}`) };
  },
};
