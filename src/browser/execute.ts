import { LlqError } from "../../formats/errors.js";
import { HostError } from "../host/browser/stores/store.js";
import type { Plan } from "../quant/plan.js";
import { writeError } from "../run/write/encode.js";
import { type ExecuteOptions, execute as write } from "../run/write/execute.js";
import type { BrowserSummary, OutputTarget } from "./api.js";
import { sha256Of } from "./digest.js";
import { noRoom, openOutput } from "./output.js";

/**
 * Writes the planned file, and has it read back and hashed. A run that is stopped or fails leaves nothing.
 * @throws LlqError `usage` for a name that is taken or being written by another tab, `no-space` for what the browser does not
 * keep, `bad-input` for weights that cannot be read or are not finite, and the reason of `signal`
 */
export async function execute(
  plan: Plan,
  target: OutputTarget,
  { threads, signal, onProgress, force = false }: Omit<ExecuteOptions, "resume"> = {},
): Promise<BrowserSummary> {
  signal?.throwIfAborted();
  const output = await openOutput(target, plan.byteLength, force);
  try {
    const summary = await write(plan, output.path, { threads, signal, onProgress });
    const file = await output.publish();
    return { ...summary, output: output.name, sha256: await sha256Of(file, { signal }), file };
  } catch (error) {
    await output.discard();
    throw meaning(error, output.name);
  }
}

function firstCause(error: unknown): unknown {
  return error instanceof LlqError && error.cause !== undefined ? firstCause(error.cause) : error;
}

/** What a failure is to who called: nothing can be gone on with here, so hints to that go. */
function meaning(error: unknown, name: string): unknown {
  const cause = firstCause(error);
  if (cause instanceof HostError && cause.code === "ENOSPC") return noRoom(name, cause);
  if (cause instanceof HostError && cause === error) return writeError(name, cause);
  if (!(error instanceof LlqError)) return error;
  return error.cause instanceof LlqError && error.cause.code === error.code ? error.cause : error;
}
