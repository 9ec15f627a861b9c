import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { DEFAULT_ACTIVATIONS } from "../../net/products/matmul.js";
import type { PartSummary } from "../../run/parts/do-part.js";
import { whole } from "../../run/parts/frames.js";
import { contentIdentity } from "../../run/parts/identity.js";
import { aboutOf, executeItems, resultsOf } from "../../run/parts/items.js";
import type { Part } from "../../run/parts/part.js";
import { type FoundRecord, secondsOf } from "../../run/parts/record.js";
import type { Tokenizer } from "../../tokenizer/types.js";
import {
  answerOf,
  type ChoiceOptions,
  type ChoiceResult,
  choiceResult,
  prepareChoice,
  type SaidQuestion,
  scoreSequences,
} from "../choice/choice.js";
import { type FolderResult, folderResult, noneFits, type SubjectFile } from "../choice/folder.js";
import { PROTOCOLS, type ProtocolName } from "../choice/protocols.js";
import { TASKS } from "../choice/tasks/index.js";
import { hashWork } from "../imatrix/checkpoint.js";

export const CHOICE_KIND = "eval-choice";

const about = v.object({
  model: v.string(),
  /** The file, or the folder. */
  file: v.string(),
  format: v.string(),
  protocol: v.picklist(PROTOCOLS),
  activations: v.picklist(["int8", "f32"]),
  isFolder: v.boolean(),
  /** Of each file: how many of its questions were asked, one after the other, and how many did not fit. */
  subjects: v.array(v.object({ subject: v.string(), asked: whole, skipped: whole, shots: whole })),
});

const numbers = v.array(v.number());
/** A question with what was said of its options. */
const questionResult = v.object({
  line: whole,
  answer: whole,
  logLikelihoods: numbers,
  tokens: numbers,
  lengths: numbers,
  greedy: v.array(v.boolean()),
  isCut: v.boolean(),
  truths: v.optional(v.nullable(v.object({ first: whole, right: v.array(v.boolean()) }))),
});

export interface ChoicePartOptions extends Omit<ChoiceOptions, "examples" | "mayBeNone"> {
  /** What was named: the file, or the folder. */
  readonly path: string;
  readonly isFolder: boolean;
}

/**
 * A part of what evaluateChoice and evaluateChoiceFolder do: some of the questions.
 * @throws LlqError as they do, and as executeItems
 */
export async function evaluateChoicePart(
  output: string,
  part: Part,
  model: Model,
  tokenizer: Tokenizer,
  files: readonly Pick<SubjectFile, "subject" | "file" | "examples">[],
  { path, isFolder, ...options }: ChoicePartOptions,
): Promise<PartSummary> {
  const { activations = DEFAULT_ACTIVATIONS, protocol = "llq", signal } = options;
  const prepared = files.map(({ file, examples }) =>
    prepareChoice(model, tokenizer, file, { ...options, examples, mayBeNone: isFolder }),
  );
  const questions = prepared.flatMap(({ fitting }) => fitting);
  if (questions.length === 0) throw noneFits(model);
  const sequences = questions.flatMap((each) => each.sequences);
  const hash = hashWork(
    model,
    sequences.map(({ tokens }) => tokens),
    contentIdentity,
  );
  const { task } = files[0]!.file;
  const work = {
    kind: CHOICE_KIND,
    fingerprint: hash.update(JSON.stringify([task.name, protocol, activations])).digest("hex"),
    about: {
      ...{ model: model.path, file: path, format: task.name, protocol, activations, isFolder },
      subjects: prepared.map(({ fitting, skipped, shots }, i) => ({
        ...{ subject: files[i]!.subject, asked: fitting.length, skipped, shots },
      })),
    } satisfies v.InferOutput<typeof about>,
    works: questions.map((each) => each.sequences.reduce((sum, { tokens }) => sum + tokens.length, 0)),
  };
  return executeItems(output, part, work, {
    ...{ inputs: model.container.files, force: true, signal },
    run: async (items, note) => {
      const own = items.map((item) => ({ item, prepared: questions[item]! }));
      const askedIn = new Map(
        own.flatMap((each) => each.prepared.sequences.map((sequence) => [sequence, each])),
      );
      await scoreSequences(model, [...askedIn.keys()], options, (sequence, found) => {
        const { item, prepared } = askedIn.get(sequence)!;
        const isSaid = prepared.sequences.every((each) => Number.isFinite(found.get(each)?.logLikelihood));
        if (!isSaid) return;
        const { question, ...said } = answerOf(prepared, protocol, found);
        note(item, { ...said, truths: question.truths ?? null });
      });
    },
  });
}

export interface FinishedChoice {
  readonly model: string;
  readonly file: string;
  readonly format: string;
  readonly protocol: ProtocolName;
  /** Of a file. */
  readonly result: ChoiceResult | undefined;
  /** Of a folder. */
  readonly folder: FolderResult | undefined;
}

/** What one run says of all questions. @throws LlqError `bad-input` for records that do not make it up */
export function finishChoice(records: readonly FoundRecord[]): FinishedChoice {
  const { items, model, file, format, protocol, activations, isFolder, subjects } = aboutOf(records, about);
  const task = TASKS.find(({ name }) => name === format);
  const asked = subjects.reduce((sum, each) => sum + each.asked, 0);
  if (task === undefined || asked !== items || subjects.length === 0) {
    throw badInput(t`${records[0]!.path}: its questions are not those of its head`);
  }
  const said: SaidQuestion[] = [];
  for (const [item, { truths, ...each }] of resultsOf(records, items, questionResult)) {
    const options = each.logLikelihoods.map(() => ({ prompt: "", ending: "" }));
    said[item] = { ...each, question: { options, answer: each.answer, truths: truths ?? undefined } };
  }
  const seconds = secondsOf(records);
  let at = 0;
  const results = subjects.map(({ subject, asked, skipped, shots }) => {
    const own = said.slice(at, at + asked);
    at += asked;
    const result: ChoiceResult = {
      ...choiceResult(task, protocol, own),
      ...{ protocol, skipped, shots, activations },
      seconds: (seconds * asked) / items,
    };
    return { subject, result };
  });
  const some = results.filter(({ result }) => result.questions.length > 0);
  const none = results.filter(({ result }) => result.questions.length === 0);
  return {
    ...{ model, file, format, protocol },
    result: isFolder ? undefined : results[0]!.result,
    folder: isFolder
      ? folderResult(
          task,
          some,
          none.map(({ subject }) => subject),
          seconds,
        )
      : undefined,
  };
}
