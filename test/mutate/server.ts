// Run by lane.ts, in a copy: holds vitest, so that a file of tests costs no more than itself.
import { createVitest } from "vitest/node";

const vitest = await createVitest("test", {
  root: process.cwd(),
  watch: false,
  run: true,
  maxWorkers: 1,
  bail: 1,
  silent: true,
  reporters: [{}],
});
process.on("message", async ({ file, names }: { file: string; names: string | undefined }) => {
  if (names === undefined) vitest.resetGlobalTestNamePattern();
  else vitest.setGlobalTestNamePattern(new RegExp(names));
  const specification = vitest.getRootProject().createSpecification(file);
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications([specification]);
  const module = testModules.find(({ moduleId }) => moduleId === file);
  const passed = module?.ok() === true && unhandledErrors.length === 0;
  const failure = [...(module?.children.allTests("failed") ?? [])][0]?.fullName;
  process.send!({ passed, failure });
});
// Whoever started this has gone, with its tests and all that these have started.
process.on("disconnect", () => process.kill(-process.pid, "SIGKILL"));
process.send!("ready");
