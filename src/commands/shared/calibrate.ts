import { createHash } from "node:crypto";
import { basename, join, resolve } from "node:path";
import { Option } from "commander";
import type { DTypeName } from "../../../formats/dtype.js";
import { LlqError } from "../../../formats/errors.js";
import type { Imatrix } from "../../../formats/imatrix/imatrix.js";
import { type Calibration, calibrate } from "../../eval/calibrate/calibrate.js";
import { gridOf } from "../../eval/calibrate/codes/grids.js";
import { EFFORTS, type Effort } from "../../eval/calibrate/options.js";
import { removeScratch } from "../../eval/calibrate/scratch.js";
import {
  type CalibrationChunks,
  calibrationChunks,
  DEFAULT_TOKENS,
  unknownImatrix,
} from "../../eval/calibrate/text.js";
import { computeImatrix } from "../../eval/imatrix/imatrix.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { calibrationMetadata } from "../../quant/metadata.js";
import type { Plan, QuantizeOptions } from "../../quant/plan.js";
import { createProgress, formatSeconds, interruptible, printLine, printTable, warn } from "../../ui.js";
import { wholeNumber } from "./options.js";
import { chunkBos, readTokens, warnOfContext } from "./text.js";

/** The options of `llq quantize` that round with error feedback. */
export interface CalibrateOptions {
  readonly output: string;
  readonly calibrate?: string;
  readonly calibrateTokens?: number;
  readonly context?: number;
  readonly fit?: string;
  readonly scratch?: string;
  readonly effort?: Effort;
  readonly imatrix?: string;
  readonly pruneLayers?: string;
  readonly maxMemory?: number;
  readonly threads?: number;
  readonly force?: boolean;
  readonly resume?: boolean;
  readonly json?: boolean;
}

/** How much is to be done. */
export function effortOf({ effort = "full" }: Pick<CalibrateOptions, "effort">): Effort {
  return effort;
}

/** They stand together in the help. */
export const calibrateOptions = () =>
  [
    new Option(
      "--calibrate <text>",
      t`round with error feedback, so that a matrix' columns make up for each other on this text`,
    ),
    new Option(
      "--calibrate-tokens <n>",
      t`tokens to take, from all over the text; what it is short of is drawn from the vocabulary (default: ${DEFAULT_TOKENS})`,
    ).argParser(wholeNumber(32)),
    new Option(
      "--effort <effort>",
      t`plain: by the model's own activations; full: by those of the quantized model too; max: codes are gone through again, too (default: full)`,
    ).choices(EFFORTS),
    new Option(
      "--scratch <folder>",
      t`folder for what does not stay in memory (default: that of the output)`,
    ),
  ].map((option) => option.helpGroup(t`Options for calibration:`));

/** A model and the chunks of a text to calibrate on. */
export interface CalibrationText {
  readonly file: string;
  readonly chunks: CalibrationChunks;
}

/** The chunks of the text, if there is to be calibration. @throws LlqError `usage`, `bad-input` */
export function calibrationText(
  model: Model,
  options: Omit<CalibrateOptions, "output">,
): CalibrationText | undefined {
  const { calibrate: file, calibrateTokens: tokens = DEFAULT_TOKENS, pruneLayers } = options;
  if (file === undefined) {
    const alone = (["calibrateTokens", "effort", "scratch"] as const).find(
      (name) => options[name] !== undefined,
    );
    if (alone === undefined) return undefined;
    const flag = alone.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new LlqError("usage", t`--${flag} means nothing without --calibrate <text>`);
  }
  if (pruneLayers !== undefined) {
    throw new LlqError("usage", t`--calibrate is of the model with all its layers`, {
      hint: t`prune first: llq quantize --type F16 --prune-layers, then --calibrate on the result`,
    });
  }
  const context = options.fit === undefined ? options.context : undefined;
  if (context !== undefined) warnOfContext(model, context, t`beyond, its activations are unusual`);
  const chunks = calibrationChunks(model, readTokens(model, file), { tokens, context, bos: chunkBos(model) });
  return { file, chunks };
}

/** What to plan with: as with an importance matrix, of which a mix needs no more than that it is there. */
export async function calibratedOptions(
  model: Model,
  text: CalibrationText,
  wanted: QuantizeOptions,
  options: CalibrateOptions & { readonly isBySize: boolean },
): Promise<QuantizeOptions> {
  const chunks = text.chunks.text;
  const keys = calibrationMetadata(effortOf(options), chunks.length, chunks[0]!.length);
  const overrideKv = [...keys, ...(wanted.overrideKv ?? [])];
  if (wanted.imatrix !== undefined) return { ...wanted, overrideKv };
  const unknown = unknownImatrix(model, text.file, chunks.length);
  const imatrix = options.isBySize ? await knownImatrix(model, text, unknown, options) : unknown;
  return { ...wanted, overrideKv, imatrix };
}

/** The matrix with its values, by which types are priced. */
async function knownImatrix(
  model: Model,
  { chunks: { text } }: CalibrationText,
  unknown: Imatrix,
  { threads, maxMemory, json }: CalibrateOptions,
): Promise<Imatrix> {
  const progress = createProgress("imatrix", json);
  const context = text[0]!.length;
  const tokens = Int32Array.from(text.flatMap((chunk) => [...chunk]));
  const computed = await interruptible((signal) =>
    computeImatrix(model, tokens, {
      ...{ context, threads, maxMemory, signal, activations: "f32" },
      onProgress: ({ done, total }) => progress.update(done, total),
    }),
  ).finally(() => progress.stop());
  const entries = new Map(unknown.entries);
  for (const [name, { sums, counts }] of computed.entries) {
    const columns = sums.length / counts.length;
    entries.set(
      name,
      Float32Array.from(sums, (sum, i) => {
        const count = counts[Math.floor(i / columns)]!;
        return count > 0 ? sum / count : 1;
      }),
    );
  }
  return { ...unknown, entries };
}

/** Calibrates a planned file; what was rounded stays in the scratch file until `finishCalibration`. */
export async function runCalibration(
  model: Model,
  plan: Plan,
  { chunks }: CalibrationText,
  options: CalibrateOptions,
): Promise<Calibration> {
  const { threads, maxMemory, force, resume } = options;
  const progress = createProgress("calibrate", options.json);
  const calibration = await interruptible((signal) =>
    calibrate(model, plan, options.output, chunks, {
      ...{ effort: effortOf(options), threads, maxMemory, force, resume, signal },
      scratch: scratchPath(options),
      keepImportances: options.imatrix !== undefined,
      onProgress: (done, total) => progress.update(done, total),
    }),
  ).finally(() => progress.stop());
  return calibration;
}

/** What a dry run says of the calibration. */
export function printCalibrationPlan({ file, chunks }: CalibrationText, options: CalibrateOptions): void {
  const { text, drawn } = chunks;
  const more = drawn.length === 0 ? "" : t`, ${drawn.length} of tokens drawn from the vocabulary`;
  const taken = t`${text.length} chunks of ${text[0]!.length} tokens of ${file}`;
  printLine(t`error feedback, ${effortOf(options)}: ${taken}${more}`);
}

export function finishCalibration(options: CalibrateOptions): void {
  removeScratch(scratchPath(options));
}

/** Beside the output; in a folder for such files, told from those of other outputs. */
function scratchPath({ output, scratch }: CalibrateOptions): string {
  if (scratch === undefined) return `${output}.calibration`;
  const tag = createHash("sha256").update(resolve(output)).digest("hex").slice(0, 8);
  return join(scratch, `${basename(output)}.${tag}.calibration`);
}

/** Tensors that are listed. */
const SHOWN = 5;
/** Tokens a column below which feedback has little to go by. */
const FEW_TOKENS = 5;

/** What feedback did, in a few lines. */
export function printCalibration({ reports, resumed, steps, tokens, drawn, seconds }: Calibration): void {
  const rows = reports.reduce((sum, report) => sum + report.rows, 0);
  const plain = reports.reduce((sum, report) => sum + report.plainRows, 0);
  const of = drawn === 0 ? t`${tokens} tokens` : t`${tokens} tokens of text and ${drawn} of the vocabulary`;
  printLine(
    t`calibrated ${reports.length} tensors on ${of} in ${formatSeconds(seconds)}: ${rows - plain} of ${rows} rows`,
  );
  const without = reports.filter(({ dtype }) => gridOf(dtype as DTypeName) === undefined);
  if (without.length > 0) {
    const types = [...new Set(without.map(({ dtype }) => dtype))].join(", ");
    printLine(t`${without.length} of ${types}, which have no grid: the text chose their scales, no more`);
  }
  if (resumed > 0) printLine(t`${resumed} of ${steps} steps were done already`);
  const judged = reports.filter(({ plainError }) => plainError > 0);
  judged.sort((a, b) => b.error / b.plainError - a.error / a.plainError);
  const cells = judged.slice(0, SHOWN).map((report) => [
    report.name,
    report.dtype,
    `${(100 * (1 - report.error / report.plainError)).toFixed(0)} %`,
    (report.tokens / report.columns).toFixed(1),
    `${((100 * report.plainRows) / report.rows).toFixed(0)} %`,
  ]); // biome-ignore format: columns
  if (cells.length > 0) {
    printTable([t`least error taken away`, t`type`, t`less error`, t`tokens a column`, t`plain rows`], cells);
  }
}

/** Warns of a text that is short for a model, before the work. */
export function warnOfShortText({ file, chunks }: CalibrationText, model: Model): void {
  const { text, drawn } = chunks;
  const tokens = text.length * text[0]!.length;
  const columns = Math.max(...model.hparams.layers.map(({ feedForwardLength }) => feedForwardLength ?? 0));
  const widest = Math.max(columns, model.hparams.embeddingLength);
  if (tokens >= FEW_TOKENS * widest) return;
  const more =
    drawn.length === 0 ? "" : t`, and tokens drawn from the vocabulary stand in for those that are missing`;
  warn(
    t`${file}: ${tokens} tokens are ${(tokens / widest).toFixed(1)} for each of ${widest} columns: feedback is held back${more}; ${FEW_TOKENS * widest} and more are better`,
  );
}
