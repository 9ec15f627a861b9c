import type { Problem } from "../../../web/src/engine/protocol.js";
import { type Scope, serve } from "../../../web/src/engine/serve.js";
import { type Scenario, StandIn } from "./stand-in.js";

// Before this file's own text stands one line that says what is to be played.
const { SCENARIO } = globalThis as unknown as { SCENARIO: Scenario };
serve(
  globalThis as unknown as Scope,
  new StandIn(SCENARIO),
  (error) => error as Problem,
  () => {},
);
