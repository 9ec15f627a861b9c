import { basename, join } from "node:path";
import { listFolder, readText } from "../../formats/bytes.js";
import { badInput } from "../../formats/errors.js";
import { examplePicker } from "../eval/harness/examples.js";
import { t } from "../language/t.js";
import { type FiledQuestion, readWrittenQuestions } from "./questions.js";
import { COT_CUE } from "./tasks/bbh.js";
import type { ProtocolName, WrittenQuestion, WrittenTask } from "./tasks/types.js";

/** What is shown before the questions of a group. */
export interface Examples {
  /** Before the first: what is to be done. */
  readonly description: string;
  readonly pool: readonly WrittenQuestion[];
}

export const NO_EXAMPLES: Examples = { description: "", pool: [] };

const MAX_PROMPT_BYTES = 1 << 20;

/**
 * Reads examples: questions of the same form, or, for BBH, the prompts of its repository (cot-prompts/), a text file for
 * each task.
 * @returns those of a group
 * @throws LlqError `bad-input`
 */
export function readExamples(
  path: string,
  task: WrittenTask,
  protocol: ProtocolName,
): (group: string) => Examples {
  const names = listFolder(path);
  const isText =
    task.name === "bbh" && (names?.some((name) => name.endsWith(".txt")) ?? path.endsWith(".txt"));
  if (!isText) {
    const pool = readWrittenQuestions(path, task, protocol);
    const own = (group: string) => pool.filter((each) => each.group === group);
    return (group) => ({ description: "", pool: names === undefined ? pool : own(group) });
  }
  const read = new Map<string, Examples>();
  return (group) => {
    const file = names === undefined ? path : join(path, `${group}.txt`);
    if (names !== undefined && !names.includes(`${group}.txt`)) {
      throw badInput(t`${path}: has no ${group}.txt with examples for ${group}`);
    }
    const known = read.get(file) ?? parseCotPrompt(file, readText(file, MAX_PROMPT_BYTES), task, protocol);
    read.set(file, known);
    return known;
  };
}

/** A line that warns of training on it, dashes, what is to be done, and questions with answers, blank lines between. */
function parseCotPrompt(path: string, text: string, task: WrittenTask, protocol: ProtocolName): Examples {
  const [description, ...blocks] = text
    .replace(/^[\s\S]*?\n-----\n/, "")
    .trimEnd()
    .split(/\n\n(?=Q: )/);
  const pool = blocks.map((block) => {
    const cue = block.indexOf(COT_CUE);
    if (cue < 0) throw badInput(t`${basename(path)}: an example without "${COT_CUE.trim()}"`);
    const [input, target] = [block.slice("Q: ".length, cue), block.slice(cue + COT_CUE.length).trimEnd()];
    return task.question({ input, target }, protocol);
  });
  if (pool.length === 0) throw badInput(t`${path}: no examples ("Q: ..." behind an empty line)`);
  return { description: `${description}\n\n`, pool };
}

/**
 * The examples of one question after the other.
 * @param wanted how many; undefined: as many as is usual, or as there are
 * @throws LlqError `usage` for more than there are
 */
export function shotPicker(
  task: WrittenTask,
  { pool }: Examples,
  wanted: number | undefined,
  protocol: ProtocolName,
): (question: FiledQuestion) => readonly WrittenQuestion[] {
  const picking = protocol === "harness" ? task.picking : "first";
  const most = Math.max(0, pool.length - (picking === "drawn-one-more" ? 1 : 0));
  const shots = wanted ?? Math.min(task.shots, most);
  const isSame = (a: WrittenQuestion, b: WrittenQuestion) => a.prompt === b.prompt && a.target === b.target;
  return examplePicker(pool, shots, picking, isSame);
}
