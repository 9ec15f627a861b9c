import { CONTINUED_TASKS } from "./continued.js";
import { LETTERED_TASKS } from "./lettered.js";
import { OPEN_TASKS } from "./open.js";
import type { Task } from "./types.js";

/** Where a row has the fields of several, the first is meant. */
export const TASKS: readonly Task[] = [...LETTERED_TASKS, ...CONTINUED_TASKS, ...OPEN_TASKS];

/** The format of which a row has all fields. */
export function findTask(row: object): Task | undefined {
  return TASKS.find(({ fields }) => fields.every((field) => field in row));
}
