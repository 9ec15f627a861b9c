import { Option } from "commander";
import { t } from "../../language/t.js";

// Imported at every start: nothing else belongs here.

/** What every command has. */
export const generalOptions = () => [
  new Option("-q, --quiet", t`no progress and no warnings`),
  new Option("-v, --verbose", t`say how long it took, in how much memory, and where an error arose`),
];
