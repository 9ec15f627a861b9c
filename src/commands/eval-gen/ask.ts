import { statSync } from "node:fs";
import { basename } from "node:path";
import { LlqError } from "../../../formats/errors.js";
import {
  type Answered,
  evaluateWritten,
  type WrittenProgress,
  type WrittenResult,
} from "../../eval-gen/evaluate.js";
import { readExamples } from "../../eval-gen/examples.js";
import { hashOf } from "../../eval-gen/prompts.js";
import type { FiledQuestion } from "../../eval-gen/questions.js";
import { type SavedRun, toResults } from "../../eval-gen/results.js";
import type { WrittenTask } from "../../eval-gen/tasks/types.js";
import { type ChatTemplate, chatTemplateOf, requireTemplate } from "../../generate/chat/template.js";
import type { LoadEngine } from "../../generate/engine.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { createProgress, formatBytes, warn } from "../../ui.js";
import { writeReport } from "../shared/report/deliver.js";
import { modelTokenizer, readPrompt } from "../shared/text.js";
import type { EvalGenOptions } from "./options.js";

export interface AskOptions extends Omit<EvalGenOptions, "task" | "save"> {
  readonly load: LoadEngine;
  readonly task: WrittenTask;
  readonly save: string | undefined;
  readonly questions: readonly FiledQuestion[];
  readonly signal: AbortSignal;
  /** What a stopped run has saved. */
  readonly before?: SavedRun | undefined;
  /** Of the progress. */
  readonly title?: string;
}

/** Seconds between two writes of what is saved. */
const SAVE_INTERVAL = 5;

/** Has one model answer, with progress, and saves what comes. */
export async function ask(model: Model, options: AskOptions): Promise<WrittenResult> {
  const { load, task, questions, save, before, json, protocol, examples, title = "eval-gen" } = options;
  const template = options.chat ? templateOf(model, options.template) : undefined;
  const run = runOf(model, options, template);
  const about = { model: model.path, run };
  const known = knownAnswers(save, before, run, options.force);
  const loading = createProgress(t`load`, json);
  const progress = createProgress(title, json);
  let written = performance.now();
  const keep = ({ answered }: WrittenProgress, seconds: number) => {
    if (save === undefined || performance.now() - written < 1000 * seconds) return;
    written = performance.now();
    writeReport(save, toResults(about, answered));
  };
  let last: WrittenProgress | undefined;
  try {
    const result = await evaluateWritten(model, modelTokenizer(model), task, questions, load, {
      ...options,
      ...{ template, known },
      examples: examples === undefined ? undefined : readExamples(examples, task, protocol),
      onWarning: warn,
      onLoad: (done, total) => {
        loading.update(done, total, formatBytes(total));
        if (done === total) loading.stop();
      },
      onProgress: (state) => {
        last = state;
        progress.update(state.answered.length, state.total, note(state));
        keep(state, SAVE_INTERVAL);
      },
    });
    if (save !== undefined) {
      const { questions: answered, ...rest } = result;
      writeReport(save, toResults(about, answered, rest));
    }
    return result;
  } catch (error) {
    if (last !== undefined) keep(last, 0);
    throw error;
  } finally {
    loading.stop();
    progress.stop();
  }
}

function note({ answered, right, tokensPerSecond }: WrittenProgress): string {
  const share = ((100 * right) / answered.length).toFixed(1);
  return t`${share} % of ${answered.length} right, ${tokensPerSecond.toFixed(1)} tokens/s`;
}

/**
 * Answers of another model or with other options are not gone on with.
 * @throws LlqError `usage` where they would be lost
 */
function knownAnswers(
  save: string | undefined,
  before: SavedRun | undefined,
  run: string,
  force = false,
): Map<string, Answered> {
  if (before === undefined) return new Map();
  if (before.run === run) return new Map(before.questions.map((each) => [each.id, each]));
  const what = t`${save}: is of another model or of other options`;
  if (!force) {
    throw new LlqError("usage", t`${what} than this run`, {
      hint: t`the same options go on with it; --force asks every question anew and replaces it`,
    });
  }
  warn(t`${what}; every question is asked anew`);
  return new Map();
}

function templateOf(model: Model, path: string | undefined): ChatTemplate {
  const own =
    path === undefined ? chatTemplateOf(model.path, model.vocab) : { name: path, source: readPrompt(path) };
  return requireTemplate(model.path, own);
}

/** The same for runs whose answers to one prompt are the same. */
function runOf(model: Model, options: AskOptions, template: ChatTemplate | undefined): string {
  const { task, protocol, maxTokens, stop, context, kvType, activations, lora } = options;
  const how = { task: task.name, protocol, maxTokens, stop, context, kvType, activations, lora };
  return hashOf(JSON.stringify([stampsOf(model), how, template?.source]));
}

/** What tells a model from another: its files, by name, size and time. */
function stampsOf({ container }: Model): unknown {
  return container.files.map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [basename(file), size, mtimeMs];
  });
}
