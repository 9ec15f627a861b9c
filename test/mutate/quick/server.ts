// Run by quick.ts, in a copy: holds vitest, and in it one process that has the sources loaded.
import { createVitest, type TestModule } from "vitest/node";

const said = (module: TestModule) => {
  const failure = [...module.children.allTests("failed")][0]?.fullName;
  return { file: module.moduleId, passed: module.ok(), failure: failure ?? module.errors()[0]?.message };
};

const vitest = await createVitest("test", {
  root: process.cwd(),
  watch: false,
  run: true,
  isolate: false,
  maxWorkers: 1,
  silent: true,
  reporters: [{ onTestModuleEnd: (module: TestModule) => void process.send!(said(module)) }],
  sequence: {
    sequencer: class {
      shard = async <T>(files: T) => files;
      sort = async <T>(files: T) => files;
    },
  },
});
process.on("message", async (files: string[]) => {
  const project = vitest.getRootProject();
  await vitest.runTestSpecifications(files.map((file) => project.createSpecification(file)));
  process.send!("done");
});
process.on("disconnect", () => process.kill(-process.pid, "SIGKILL"));
process.send!("ready");
