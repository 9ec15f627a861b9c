import { availableParallelism, totalmem } from "node:os";
import type { DTypeName } from "../../formats/dtype.js";
import { LlqError } from "../../formats/errors.js";
import type { OutlineTensor } from "../arch/outline.js";
import { Kernels } from "../kernels/kernels.js";
import { t } from "../language/t.js";
import { planDecoder } from "../net/plan/decoder.js";
import { DEFAULT_ACTIVATIONS } from "../net/products/matmul.js";
import { type TeamMemory, teamBytes, teamMemory } from "../net/team/memory.js";
import type { Outline } from "../outline.js";
import type { Tensor } from "../tensor.js";
import type { EngineOptions } from "./engine.js";

/** What is asked of a model; a Model has it too. */
export type Described = Pick<Outline, "architecture" | "hparams" | "tensors">;

export type MemoryOptions = Pick<
  EngineOptions,
  "context" | "sequences" | "kvType" | "threads" | "activations"
>;

/**
 * What generating with a model takes, with tensors in these types, by their names, the others as they are stored. No
 * weights are looked at.
 * @throws LlqError `usage` when heads do not divide into the blocks of the type of keys and values
 */
export function generateMemory(
  { architecture, hparams, tensors }: Described,
  { threads = availableParallelism(), activations = DEFAULT_ACTIVATIONS, ...options }: MemoryOptions,
): (types?: ReadonlyMap<string, DTypeName>) => TeamMemory {
  const plan = planDecoder({ architecture, hparams, tensors: tensors.map(complete) });
  const kernels = new Kernels();
  return (types = new Map()) =>
    teamMemory(kernels, plan, {
      ...options,
      threads: Math.max(1, threads),
      source: { activations, types },
    });
}

/** One that is stored nowhere, where only the outline is known. */
function complete(tensor: OutlineTensor | Tensor): Tensor {
  const nowhere = { sources: [], ranges: undefined, transforms: [], steps: [], values: undefined };
  return { ...nowhere, joined: "rows", ...tensor };
}

/** Memory of the machine, or that the process may have of it; and what of that is free. */
export interface MachineMemory {
  readonly total: number;
  readonly available: number;
}

/** What this process may have, as far as the system says. */
export function machineMemory(): MachineMemory {
  const limit = process.constrainedMemory();
  return {
    total: limit > 0 ? Math.min(totalmem(), limit) : totalmem(),
    available: process.availableMemory(),
  };
}

/**
 * Compares what is needed with what there is.
 * @returns a warning where it is more than is free
 * @throws LlqError `no-space` where it is more than there is
 */
export function checkMemory(
  path: string,
  memory: TeamMemory,
  { total, available }: MachineMemory = machineMemory(),
): string | undefined {
  const needed = teamBytes(memory);
  if (needed <= available) return undefined;
  const gb = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  const parts = t`${gb(memory.weights)} of weights, ${gb(memory.states)} for the context`;
  const what = t`${path}: generating takes ${gb(needed)} (${parts})`;
  if (needed <= total) return t`${what}, but ${gb(available)} are free: it may be slow, or be ended`;
  throw new LlqError("no-space", t`${what}; this machine has ${gb(total)}`, {
    hint: t`--kv-type q8_0 or a smaller --context for less context, a smaller --type for less weights (llq fit)`,
  });
}
