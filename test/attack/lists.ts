import type { Target } from "../support/damage.js";
import { ATTACKED } from "./more-targets.js";
import { PACKED } from "./packed-targets.js";

/** What can be attacked, by the part of `npm run attack` that does. */
export const LISTS = { parsers: ATTACKED, packed: PACKED } as const satisfies Record<
  string,
  readonly Target[]
>;
