import { availableParallelism } from "node:os";
import { InvalidArgumentError, Option } from "commander";
import { LlqError } from "../../../formats/errors.js";
import { machineMemory } from "../../generate/memory.js";
import { t } from "../../language/t.js";
import { type Activations, DEFAULT_ACTIVATIONS } from "../../net/products/matmul.js";
import { parseBytes } from "../../quant/bytes.js";
import type { KvType } from "../../quant/fit/memory.js";
import { BITS, recipeNamed } from "../../quant/recipes/recipes.js";
import { parsePart } from "../../run/parts/part.js";
import { formatBytes } from "../../ui.js";

/** A whole number of at least `least`, for an option's value. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(t`A whole number of at least ${least} is needed.`);
  };
}

/** An option that collects its values. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, t`${description} (repeatable)`).argParser<string[]>((value, before = []) => [
    ...before,
    value,
  ]);
}

/** A number above 0 and up to `most`, for an option's value. */
export function positiveNumber(most = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value > 0 && value <= most && Number.isFinite(value)) return value;
    throw new InvalidArgumentError(t`A number above 0${most < 2 ? t` and up to ${most}` : ""} is needed.`);
  };
}

/** A number of at least `least` and up to `most`, for an option's value. */
export function numberFrom(least: number, most = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= least && value <= most && Number.isFinite(value)) return value;
    throw new InvalidArgumentError(
      t`A number from ${least}${most === Number.POSITIVE_INFINITY ? t` on` : t` to ${most}`} is needed.`,
    );
  };
}

export const bitsOption = (description: string) =>
  new Option("-b, --bits <n>", t`${description} (choices: ${Object.keys(BITS).join(", ")})`)
    .argParser(bitsNumber)
    .conflicts("type");

function bitsNumber(text: string): string {
  const known = Object.keys(BITS);
  if (known.includes(text)) return text;
  const recipe = recipeNamed(text)?.name;
  const digits = known.find((bits) => text.replace(/\D/g, "") === bits);
  const meant = recipe === undefined ? digits && t`--bits ${digits}` : t`--type ${recipe}`;
  const question = meant === undefined ? "" : t`Did you mean ${meant}? `;
  throw new InvalidArgumentError(t`${question}Allowed choices are ${known.join(", ")}.`);
}

export const outputOption = (what = t`GGUF file to write`) =>
  new Option("-o, --output <file>", what).makeOptionMandatory();

export const threadsOption = () =>
  new Option(
    "-j, --threads <n>",
    t`worker threads (default: one a core); the result does not depend on it`,
  ).argParser(threadCount);

/** More than this only take memory from each other, however many cores there are. */
const MOST_THREADS = Math.max(256, 4 * availableParallelism());

function threadCount(text: string): number {
  const threads = wholeNumber(1)(text);
  if (threads <= MOST_THREADS) return threads;
  throw new InvalidArgumentError(
    t`This machine runs ${availableParallelism()} at a time; at most ${MOST_THREADS} are started.`,
  );
}

/** Less than this is no memory to work in, whatever the model. */
const LEAST_MEMORY = 100_000;

/** @throws LlqError `usage` for what is no size, or more than there is */
function memorySize(text: string): number {
  const bytes = parseBytes("--max-memory", text);
  const { total } = machineMemory();
  if (bytes >= LEAST_MEMORY && bytes <= total) return bytes;
  const why =
    bytes > total ? t`this machine has ${formatBytes(total)}` : t`nothing can be computed in so little`;
  throw new LlqError("usage", t`--max-memory ${text}: ${why}`, { hint: t`half of what is free, without it` });
}

export const maxMemoryOption = (
  what = t`memory for hidden states and for what threads work in, such as 500M or 4G (default: half of what is free)`,
) => new Option("--max-memory <size>", what).argParser(memorySize);

/** What keys and values may be kept in. */
const KV_TYPES = ["f32", "f16", "q8_0", "q4_0"] satisfies KvType[];

export const kvTypeOption = () =>
  new Option("--kv-type <type>", t`type that keys and values are kept in`).choices(KV_TYPES).default("f16");

export const activationsOption = () =>
  new Option("--activations <type>", t`what meets quantized weights: int8 as llama.cpp's CPU has it, or f32`)
    .choices(["int8", "f32"] satisfies Activations[])
    .default(DEFAULT_ACTIVATIONS);

export const forceOption = (what = t`replace the output if it exists`) => new Option("-f, --force", what);

export const jsonOption = () => new Option("--json", t`print one JSON document instead of text`);

export const resumeOption = () =>
  new Option("--resume", t`go on where a run with the same options was stopped`);

export const partOption = () =>
  new Option(
    "--part <i/n>",
    t`do the i-th of n parts; llq finish makes the whole of them. slurm/n and k8s/n take i from the array's task`,
  ).argParser((text) => parsePart(text));

export const splitOption = () =>
  new Option(
    "--split-max-size <size>",
    t`write files with at most so many bytes of tensors, such as 2G or 500M, named -00001-of-0000N.gguf`,
  );

export const loraOption = () =>
  repeatable("--lora <folder[=scale]>", t`merge a LoRA adapter that PEFT saved, or some of it`);

export const overrideKvOption = () =>
  repeatable("--override-kv <key=type:value>", t`set a metadata value: int, float, bool or str`);
