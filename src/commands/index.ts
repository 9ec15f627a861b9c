import type { Command } from "commander";

/** Each in a file of its own, of which a run needs one. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  convert: async () => (await import("./convert.js")).convertCommand,
  quantize: async () => {
    const command = (await import("./quantize.js")).quantizeCommand.hook("preAction", async () =>
      (await import("../kernels/searches.js")).allowPairedSearches(),
    );
    return paired(command, "evaluation", "calibrate");
  },
  imatrix: async () => paired((await import("./imatrix.js")).imatrixCommand),
  sensitivity: async () => paired((await import("./sensitivity.js")).sensitivityCommand),
  "eval-ppl": async () => paired((await import("./eval-ppl.js")).evalPplCommand),
  compare: async () => paired((await import("./compare.js")).compareCommand),
  "eval-choice": async () => paired((await import("./eval-choice.js")).evalChoiceCommand),
  "eval-gen": async () => {
    const { createEvalGenCommand } = await import("./eval-gen/command.js");
    const { loadEngine } = await import("../generate/load-engine.js");
    return paired(createEvalGenCommand(loadEngine), "generation");
  },
  finish: async () => (await import("./finish/command.js")).finishCommand,
  inspect: async () => (await import("./inspect.js")).inspectCommand,
  fit: async () => (await import("./fit.js")).fitCommand,
  verify: async () => paired((await import("./verify.js")).verifyCommand, "evaluation", "calibrate"),
  generate: async () => {
    const { createGenerateCommand } = await import("./generate/command.js");
    const { loadEngine } = await import("../generate/load-engine.js");
    return paired(createGenerateCommand(loadEngine), "generation");
  },
  copy: async () => (await import("./gguf/copy.js")).copyCommand,
  split: async () => (await import("./gguf/split.js")).splitCommand,
  merge: async () => (await import("./gguf/merge.js")).mergeCommand,
  meta: async () => (await import("./gguf/meta.js")).metaCommand,
  push: async () => (await import("./push.js")).pushCommand,
  hash: async () => (await import("./gguf/hash.js")).hashCommand,
  completion: async () => (await import("./completion/command.js")).createCompletionCommand(COMMANDS),
};

/**
 * The command, whose products are to be chosen for what it does.
 * @param option without which it multiplies nothing
 */
function paired(
  command: Command,
  work: "evaluation" | "generation" = "evaluation",
  option?: string,
): Command {
  const isMultiplying = (running: Command) => option === undefined || running.opts()[option] !== undefined;
  return command
    .hook("preAction", async (_, running) => {
      if (!isMultiplying(running)) return;
      const { pairVectors } = await import("../kernels/products.js");
      if (running.opts()["fast"]) pairVectors(work, "fused");
      else pairVectors(work);
    })
    .hook("postAction", async (_, running) => {
      if (isMultiplying(running)) await adviseOnNode();
    });
}

/** Says at the end of long work that on another Node it takes less. */
async function adviseOnNode(): Promise<void> {
  const { adviceOnNode } = await import("../kernels/newer-node.js");
  const { versions, arch } = process;
  const advice = adviceOnNode({ node: versions.node, arch, seconds: process.uptime() });
  if (advice !== undefined) (await import("../ui.js")).warn(advice);
}
