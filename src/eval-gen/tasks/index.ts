import { BBH } from "./bbh.js";
import { CUSTOM } from "./custom.js";
import { GSM8K } from "./gsm8k.js";
import { HUMANEVAL } from "./humaneval.js";
import { MATH } from "./math.js";
import { TRIVIAQA } from "./triviaqa.js";
import type { WrittenTask } from "./types.js";

export const WRITTEN_TASKS: readonly WrittenTask[] = [GSM8K, MATH, TRIVIAQA, BBH, HUMANEVAL, CUSTOM];

export function findWrittenTask(name: string): WrittenTask | undefined {
  return WRITTEN_TASKS.find((task) => task.name === name);
}
