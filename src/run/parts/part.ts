import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";

/** One of several runs that do a piece of work together, each alone. */
export interface Part {
  /** From 1. */
  readonly no: number;
  readonly count: number;
}

/** More parts than any cluster gives to one model: a slip of the finger. */
const MOST_PARTS = 9999;

type Environment = Readonly<Record<string, string | undefined>>;

/** Engines that say in the environment which of several tasks this one is. */
const ENGINES: Readonly<Record<string, (count: number, env: Environment) => number>> = {
  slurm: slurmPart,
  slurm0: (_, env) => numberIn(env, "SLURM_ARRAY_TASK_ID") + 1,
  slurm1: (_, env) => numberIn(env, "SLURM_ARRAY_TASK_ID"),
  k8s: (_, env) => numberIn(env, "JOB_COMPLETION_INDEX") + 1,
};

/**
 * Reads `2/7`, `slurm/7` or `k8s/7`. The number of parts is always given: what engines say of it changes when one task is
 * submitted again.
 * @throws LlqError `usage` for what is no such thing, a number that is not from 1 to the count, or ids of an array that may
 * be counted from 0 or from 1
 */
export function parsePart(text: string, env: Environment = process.env): Part {
  const [, who, of] = /^(\d{1,9}|[a-z]\w*)\/(\d{1,9})$/i.exec(text.trim()) ?? [];
  const count = Number(of);
  if (who === undefined || !(count >= 1 && count <= MOST_PARTS)) {
    throw refused(text, t`is no part`, t`such as 2/7, slurm/7 or k8s/7, of at most ${MOST_PARTS}`);
  }
  const engine = Object.hasOwn(ENGINES, who.toLowerCase()) ? ENGINES[who.toLowerCase()] : undefined;
  if (engine === undefined && !/^\d+$/.test(who)) {
    throw refused(
      text,
      t`${who} is no engine that is known`,
      t`a number, or ${Object.keys(ENGINES).join(", ")}`,
    );
  }
  const no = engine === undefined ? Number(who) : engine(count, env);
  if (no >= 1 && no <= count) return { no, count };
  const hint = no === 0 ? t`parts count from 1: add 1 to an index that counts from 0` : t`from 1 to ${count}`;
  throw refused(text, t`there is no part ${no} of ${count}`, hint);
}

function refused(text: string, why: string, hint: string): LlqError {
  return new LlqError("usage", t`--part ${text}: ${why}`, { hint });
}

/** @throws LlqError `usage` where the engine has said nothing */
function numberIn(env: Environment, name: string): number {
  const text = env[name] ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new LlqError("usage", t`${name} is not set: this is no task of an array`, {
    hint: t`the number itself says which part: --part 2/7`,
  });
}

/**
 * An array says where its ids begin and end, and by which step they grow: whole, it has as many as there are parts. When one
 * task is submitted again by itself, the array has one; then the id may count from 0 or from 1.
 */
function slurmPart(count: number, env: Environment): number {
  const id = numberIn(env, "SLURM_ARRAY_TASK_ID");
  const [first, last, step] = ["MIN", "MAX", "STEP"].map((name) => {
    const text = env[`SLURM_ARRAY_TASK_${name}`] ?? (name === "STEP" ? "1" : "");
    return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  }) as [number, number, number];
  const tasks = Number(env.SLURM_ARRAY_TASK_COUNT ?? "");
  const steps = (id - first) / step;
  const isWhole = tasks === count && Math.floor((last - first) / step) + 1 === count;
  if (isWhole && Number.isInteger(steps) && (first <= 1 || step > 1)) return steps + 1;
  if (id === 0) return 1;
  if (id === count) return count;
  throw new LlqError(
    "usage",
    t`--part slurm/${count}: the array has ids ${first} to ${last} by ${step}, ${tasks || "?"} of them, so ${id} may be part ${id} or ${id + 1}`,
    { hint: t`slurm1/${count} if ids count from 1, slurm0/${count} if from 0` },
  );
}

/**
 * Which of the items of a part are: those of a run of them, about as much work as every other part's. Every item is of one
 * part, whatever the machine.
 * @param works of each item, in order; 0 or more
 */
export function shareOf(
  works: readonly number[],
  { no, count }: Part,
): { readonly first: number; readonly end: number } {
  const total = works.reduce((sum, work) => sum + work, 0);
  let before = 0;
  let first = works.length;
  let end = works.length;
  for (const [i, work] of works.entries()) {
    // by the middle of an item, so that large ones are shared out evenly
    const owner = 1 + Math.min(count - 1, total > 0 ? Math.floor(((before + work / 2) * count) / total) : 0);
    if (owner >= no && first === works.length) first = i;
    if (owner > no) {
      end = i;
      break;
    }
    before += work;
  }
  return { first: Math.min(first, end), end };
}

/** As people write it. */
export function nameOf({ no, count }: Part): string {
  return t`part ${no}/${count}`;
}
