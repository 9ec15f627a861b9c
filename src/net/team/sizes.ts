import { totalmem } from "node:os";
import { byteLength, type DTypeName } from "../../../formats/dtype.js";
import { LlqError } from "../../../formats/errors.js";
import { rowCount, type Tensor } from "../../tensor.js";
import { inputsOf } from "../inputs.js";
import { mixerOf } from "../mixers/index.js";
import type { StateOptions } from "../mixers/mixer.js";
import type { DecoderPlan } from "../plan/types.js";
import { matricesOf } from "./tensors.js";

/** Bytes of matrices, of the types that they are to have. */
export function bytesOf(matrices: readonly Tensor[], types: ReadonlyMap<string, DTypeName>): number {
  return matrices.reduce(
    (sum, { name, dtype, shape }) => sum + byteLength(types.get(name) ?? dtype, shape),
    0,
  );
}

/** Floats of a token that threads exchange at once, at most: what comes out of the matrices that share an input. */
export function exchangedFloats({ layers }: DecoderPlan): number {
  const widths = layers.flatMap((layer) =>
    [...inputsOf(layer).values()].map(({ matrices, columns }) =>
      Math.max(
        columns,
        matrices.reduce((sum, { weight }) => sum + rowCount(weight), 0),
      ),
    ),
  );
  return Math.max(...widths);
}

/**
 * Before anything is loaded: where weights and states alone are more than the machine has, the system would end the
 * program without a word. What is free just now is not asked: caches of files count as taken.
 * @throws LlqError `no-space`, and `usage` when heads do not divide into the blocks of `kvType`
 */
export function checkMemory(
  { layers, head }: DecoderPlan,
  types: ReadonlyMap<string, DTypeName>,
  states: StateOptions,
  sequences: number,
): void {
  const whole = { share: (units: number): [number, number] => [0, units] };
  const needed = layers.reduce(
    (sum, layer) => {
      const { plan } = layer.mixer;
      return (
        sum + bytesOf(matricesOf(layer), types) + sequences * mixerOf(plan).stateBytes(plan, whole, states)
      );
    },
    bytesOf([head.output], types),
  );
  const machine = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  if (needed <= machine) return;
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new LlqError("no-space", `the model takes ${gib(needed)} of memory, and there are ${gib(machine)}`, {
    hint: "a smaller --context, --kv-type q8_0, or fewer bits a weight",
  });
}
