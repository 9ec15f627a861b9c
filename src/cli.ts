#!/usr/bin/env node
// Nothing is imported here and the syntax is old: this must run where the program cannot.

/** What package.json says of engines. */
const LEAST = [20, 19];
const SYSTEM = 71;

const [major, minor] = process.versions.node.split(".").map(Number) as [number, number];
if (major > LEAST[0]! || (major === LEAST[0] && minor >= LEAST[1]!)) {
  import("./program.js");
} else {
  process.stderr.write(
    "error: llq needs Node " +
      LEAST.join(".") +
      " or newer, and this is Node " +
      process.versions.node +
      "\n",
  );
  process.exitCode = SYSTEM;
}
