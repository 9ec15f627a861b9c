import { LlqError } from "../../../formats/errors.js";
import type { GenerateOptions } from "../../generate/lane.js";
import { endTokens } from "../../generate/text/end-tokens.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import type { Activations } from "../../net/products/matmul.js";
import type { KvType } from "../../quant/fit/memory.js";

export interface GenerateCommandOptions {
  readonly file?: string;
  readonly chat?: boolean;
  readonly system?: string;
  readonly template?: string;
  readonly raw?: boolean;
  readonly maxTokens?: number;
  readonly temp: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  readonly repeatLastN: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly special?: boolean;
  readonly context?: number;
  readonly contextShift?: boolean;
  readonly keep?: number;
  readonly kvType: KvType;
  readonly activations: Activations;
  readonly bits?: string;
  readonly type?: string;
  readonly lora?: readonly string[];
  readonly threads?: number;
  readonly logprobs?: number;
  readonly json?: boolean;
}

/** @throws LlqError `usage` for options that exclude each other */
export function checkOptions(prompt: string | undefined, options: GenerateCommandOptions): void {
  const refuse = (message: string, hint?: string) => {
    throw new LlqError("usage", message, { hint });
  };
  const { file, chat, raw, system, template, json, logprobs, temp, topK, topP, minP, keep, contextShift } =
    options;
  if (prompt !== undefined && file !== undefined) refuse(t`a prompt and --file exclude each other`);
  if (raw && (chat || system !== undefined || template !== undefined))
    refuse(t`--raw takes no chat template, which --chat, --system and --template need`);
  if (chat && json)
    refuse(t`--json prints one answer, --chat has many`, t`leave --chat out: the prompt is answered`);
  if (logprobs !== undefined && !json) refuse(t`--logprobs are printed with --json only`);
  if (temp === 0 && (topK > 0 || topP < 1 || minP > 0))
    refuse(
      t`--top-k, --top-p and --min-p say what is drawn from, but with --temp 0 nothing is`,
      "--temp 0.8",
    );
  if (keep !== undefined && !contextShift)
    refuse(t`--keep says what --context-shift keeps, which is not given`);
}

/** What they mean to generate. */
export function generateOptions(model: Model, options: GenerateCommandOptions): GenerateOptions {
  const { maxTokens, temp, topK, topP, minP, repeatPenalty, repeatLastN, seed, stop, special, keep } =
    options;
  const onShift = (forgotten: number, context: number) => {
    process.stderr.write(
      t`the context of ${context} tokens is full: the oldest ${forgotten} are forgotten\n`,
    );
  };
  return {
    ...{ maxTokens, temperature: temp, topK, topP, minP, repeatPenalty, repeatLastN, seed, stop, special },
    ends: endTokens(model),
    logprobs: options.logprobs ?? (options.json ? 0 : undefined),
    contextShift: options.contextShift ? { keep, onShift } : undefined,
  };
}
