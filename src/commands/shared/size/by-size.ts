import { Option } from "commander";
import { LlqError } from "../../../../formats/errors.js";
import { openSensitivity } from "../../../../formats/sensitivity.js";
import { WITHOUT_GRID } from "../../../eval/calibrate/codes/grids.js";
import { t } from "../../../language/t.js";
import type { Model } from "../../../model.js";
import { type Limit, planBySize } from "../../../quant/by-size/by-size.js";
import { menuOf } from "../../../quant/by-size/menu.js";
import { parseBytes } from "../../../quant/bytes.js";
import { KV_TYPES, type KvType, type RunMemory, runBytes, runMemory } from "../../../quant/fit/memory.js";
import { weightCount } from "../../../quant/fit/size.js";
import type { Plan, QuantizeOptions } from "../../../quant/plan.js";
import { pruneLayers } from "../../../quant/prune.js";
import { appraise } from "../../../run/measure/appraise.js";
import { imatrixFingerprint } from "../../../run/write/fingerprint.js";
import { createProgress, formatBytes, interruptible, warn } from "../../../ui.js";
import { positiveNumber, wholeNumber } from "../options.js";

/** The options of `llq quantize` that ask for a size instead of a mix. */
export interface SizeOptions {
  readonly fit?: string;
  readonly context?: number;
  readonly kvType?: KvType;
  readonly targetSize?: string;
  readonly targetBpw?: number;
  readonly sensitivity?: string;
  readonly calibrate?: string;
  readonly threads?: number;
  readonly json?: boolean;
}

const MIX_OPTIONS = ["bits", "type", "pure"];
const DEFAULT_CONTEXT = 4096;

/** They stand together in the help. */
export const sizeOptions = () =>
  [
    new Option("--fit <memory>", t`the best file that runs in so much memory, such as 8GB`).conflicts([
      ...MIX_OPTIONS,
      "targetSize",
      "targetBpw",
    ]),
    new Option(
      "--context <n>",
      t`tokens that --fit leaves room for (default: ${DEFAULT_CONTEXT}, or all the model has); without it, in a chunk of --calibrate (default: 512)`,
    ).argParser(wholeNumber(1)),
    new Option("--kv-type <type>", t`how --fit takes keys and values to be kept`)
      .choices(KV_TYPES)
      .default("f16"),
    new Option("--target-size <size>", t`the best file of at most this size, such as 4.5GB`).conflicts([
      ...MIX_OPTIONS,
      "targetBpw",
    ]),
    new Option("--target-bpw <x>", t`the best file of at most so many bits per weight`)
      .argParser(positiveNumber())
      .conflicts(MIX_OPTIONS),
    new Option(
      "--sensitivity <file>",
      t`what llq sensitivity measured: where --fit and --target-* spend bytes`,
    ),
  ].map((option) => option.helpGroup(t`Options for a size instead of a mix:`));

/** Whether a size is asked for. @throws LlqError `usage` for options that mean nothing without one */
export function asksForSize(options: SizeOptions): boolean {
  const { fit, context, targetSize, targetBpw, sensitivity, calibrate } = options;
  if (context !== undefined && fit === undefined && calibrate === undefined) {
    throw new LlqError("usage", t`--context says what --fit leaves room for, but there is no --fit`);
  }
  const asks = fit !== undefined || targetSize !== undefined || targetBpw !== undefined;
  if (sensitivity !== undefined && !asks) {
    throw new LlqError("usage", t`--sensitivity says where bytes go, but a mix has its own rules`, {
      hint: t`--fit, --target-size or --target-bpw instead of --bits or --type`,
    });
  }
  return asks;
}

/** A size that was asked for. */
interface Asked {
  readonly limit: Limit;
  /** When not even the smallest file is small enough. */
  readonly refusal: (needed: number) => LlqError;
}

/** The best file of the size that was asked for. @throws LlqError as planQuantize, and for sizes that cannot be met */
export async function planForSize(
  source: Model,
  options: SizeOptions,
  wanted: QuantizeOptions,
): Promise<Plan> {
  const sensitivity = options.sensitivity === undefined ? undefined : openSensitivity(options.sensitivity);
  const pruned = wanted.pruneLayers ?? [];
  if (sensitivity !== undefined && pruned.length > 0) {
    throw new LlqError("usage", t`--sensitivity is of the model with all its layers`, {
      hint: t`prune first: llq quantize --type F16 --prune-layers, then llq sensitivity on the result`,
    });
  }
  // A matrix that calibration makes of its text is another one every time.
  const isOther = options.calibrate === undefined && sensitivity?.imatrix !== fingerprintOf(wanted);
  if (sensitivity !== undefined && isOther) {
    warn(
      t`${sensitivity.file} was measured with another importance matrix, or without: its prices are less exact`,
    );
  }
  const [model, guide] = pruneLayers(source, wanted.imatrix, pruned);
  const asked = askedSize(model, options);
  const choicesOptions = { ...wanted, guide };
  const menu = menuOf(model, choicesOptions, options.calibrate === undefined ? undefined : WITHOUT_GRID);
  const progress = createProgress(t`try types`, options.json);
  const prices = await interruptible((signal) =>
    appraise(model, menu, {
      imatrix: guide,
      sensitivity,
      threads: options.threads,
      signal,
      onProgress: (done, total) => progress.update(done, total),
    }),
  ).finally(() => progress.stop());
  const plan = planBySize(model, asked.limit, menu, prices, choicesOptions);
  if ("needed" in plan) throw asked.refusal(plan.needed);
  return plan;
}

function fingerprintOf({ imatrix }: QuantizeOptions): string | null {
  return imatrix === undefined ? null : imatrixFingerprint(imatrix);
}

function askedSize(model: Model, { fit, context, kvType, targetSize, targetBpw }: SizeOptions): Asked {
  if (fit !== undefined) {
    const { contextLength } = model.hparams;
    const length = context ?? Math.min(DEFAULT_CONTEXT, contextLength);
    if (length > contextLength) {
      throw new LlqError(
        "usage",
        t`${model.path}: trained for ${contextLength} tokens; ${length} are beyond it`,
        {
          hint: t`--context ${contextLength} or less`,
        },
      );
    }
    return memoryLimit(parseBytes("--fit", fit), fit, length, runMemory(model, length, kvType!));
  }
  if (targetSize !== undefined) {
    return {
      limit: { bytes: parseBytes("--target-size", targetSize), of: "file" },
      refusal: (needed) =>
        new LlqError(
          "usage",
          t`--target-size ${targetSize}: the smallest file takes ${formatBytes(needed)}`,
          {
            hint: t`--target-size ${needed}B`,
          },
        ),
    };
  }
  const elements = weightCount(model.tensors);
  return {
    limit: { bytes: Math.floor((targetBpw! * elements) / 8), of: "tensors" },
    refusal: (needed) => {
      const least = (Math.ceil((needed * 8 * 1000) / elements) / 1000).toFixed(3);
      return new LlqError(
        "usage",
        t`--target-bpw ${targetBpw}: the smallest file has ${least} bits per weight`,
        {
          hint: t`--target-bpw ${least}`,
        },
      );
    },
  };
}

function memoryLimit(memory: number, text: string, context: number, needs: RunMemory): Asked {
  const { kv, compute, overhead } = needs;
  const beside = runBytes(needs);
  const bytes = memory - beside;
  return {
    limit: { bytes, of: "file" },
    refusal: (needed) => {
      const program = formatBytes(compute.bytes + overhead.bytes);
      const taken = t`${formatBytes(kv.bytes)} for ${context} tokens and ${program} for the program`;
      const left = bytes > 0 ? t`leave ${formatBytes(bytes)}` : t`leave nothing`;
      const message = t`--fit ${text}: ${taken} ${left} for the weights; the smallest file takes ${formatBytes(needed)}`;
      const enough = Math.ceil((needed + beside) / 1e6) / 1000;
      return new LlqError("no-space", message, { hint: t`--fit ${enough}GB, or a shorter --context` });
    },
  };
}
