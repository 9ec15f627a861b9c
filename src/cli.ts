#!/usr/bin/env node
// Nothing is imported here and the syntax is old: this must run where the program cannot.

/** What package.json says of engines. */
const LEAST = [20, 19];
const SYSTEM = 71;

const [major, minor] = process.versions.node.split(".").map(Number) as [number, number];
if (major > LEAST[0]! || (major === LEAST[0] && minor >= LEAST[1]!)) {
  keepCompiled();
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

/**
 * Has newer engines keep what they compile for the next run, a tenth of a short one: where NODE_COMPILE_CACHE says, else in the
 * folder for temporary files. NODE_DISABLE_COMPILE_CACHE=1 keeps nothing.
 */
function keepCompiled(): void {
  const { enableCompileCache } = process.getBuiltinModule("node:module") as {
    enableCompileCache?: () => { directory?: string }; // since Node 22.8
  };
  const directory = enableCompileCache?.().directory;
  if (directory !== undefined) process.env["NODE_COMPILE_CACHE"] ??= directory; // for threads
}
