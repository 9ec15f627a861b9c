import type { HostEngine } from "../types.js";

export const { engineName, relaxedDots, allowRelaxed, pairable }: HostEngine = {
  engineName: typeof navigator === "undefined" ? "a browser" : navigator.userAgent,
  // Validated, and compared with the plain kernels, before they are used.
  relaxedDots: ["i16", "i32"],
  allowRelaxed: () => {},
  pairable: () => undefined,
};
