import { t } from "../language/t.js";

/** The first Node whose engine works on two vectors at once and has the dot product of four bytes. */
const FASTER = 24;
/** Who waits for less does not mind. */
const LONG_SECONDS = 60;

/** How a program has run. */
export interface Run {
  /** As in process.versions.node. */
  readonly node: string;
  readonly arch: string;
  readonly seconds: number;
}

/** What there is to say of the engine once work has taken long; undefined where another is not faster. */
export function adviceOnNode({ node, arch, seconds }: Run): string | undefined {
  if (arch !== "x64" || Number.parseInt(node, 10) >= FASTER || seconds < LONG_SECONDS) return undefined;
  return t`this is Node ${node}: with Node ${FASTER} the same takes about half the time (products are 1.6 to 2.4 times as fast)`;
}
