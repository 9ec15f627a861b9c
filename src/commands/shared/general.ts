import { Option } from "commander";

// Imported at every start: nothing else belongs here.

/** What every command has. */
export const generalOptions = () => [
  new Option("-q, --quiet", "no progress and no warnings"),
  new Option("-v, --verbose", "say how long it took, in how much memory, and where an error arose"),
];
