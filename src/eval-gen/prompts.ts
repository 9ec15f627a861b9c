import { createHash } from "node:crypto";
import type { Message } from "../generate/chat/template.js";
import type { Tokenizer } from "../tokenizer/types.js";
import { type Examples, NO_EXAMPLES, shotPicker } from "./examples.js";
import type { FiledQuestion } from "./questions.js";
import type { ProtocolName, WrittenQuestion, WrittenTask } from "./tasks/types.js";

export interface PromptOptions {
  readonly protocol: ProtocolName;
  /** Default: as many as is usual, or as there are. */
  readonly shots: number | undefined;
  readonly examples?: ((group: string) => Examples) | undefined;
  /** Turns messages into ids, where the model is asked in a chat. */
  readonly chat?: ((messages: readonly Message[]) => Int32Array) | undefined;
  /** Tokens at most; longer ones lose their beginning. */
  readonly room: number;
}

/** What the model reads of a question. */
export interface Prompt {
  readonly question: FiledQuestion;
  readonly ids: Int32Array;
  /** SHA-256 of the text, or of the messages, in hex; its first 16 digits. */
  readonly hash: string;
  /** Examples in it. */
  readonly shots: number;
  /** It was longer than the room. */
  readonly isCut: boolean;
  /** Tokens that it begins with as its neighbours of the same group do. */
  readonly stem: number;
}

/** @throws LlqError `usage` for more shots than examples, and as chat does */
export function makePrompts(
  task: WrittenTask,
  tokenizer: Tokenizer,
  questions: readonly FiledQuestion[],
  { protocol, shots, examples, chat, room }: PromptOptions,
): Prompt[] {
  const pickers = new Map<string, { description: string; pick: ReturnType<typeof shotPicker> }>();
  const pickerOf = (group: string) => {
    const known = pickers.get(group);
    if (known !== undefined) return known;
    const own = examples?.(group) ?? NO_EXAMPLES;
    const made = { description: own.description, pick: shotPicker(task, own, shots, protocol) };
    pickers.set(group, made);
    return made;
  };
  const prompts = questions.map((question) => {
    const { description, pick } = pickerOf(question.group);
    const shown = pick(question);
    const text = plain(task, description, shown, question);
    const messages = chat && turns(description, shown, question);
    const all = messages === undefined ? tokenizer.encode(text) : chat!(messages);
    return {
      question,
      ids: all.subarray(Math.max(0, all.length - room)),
      hash: hashOf(messages === undefined ? text : JSON.stringify(messages)),
      shots: shown.length,
      isCut: all.length > room,
    };
  });
  const stems = stemsOf(prompts);
  return prompts.map((prompt) => ({ ...prompt, stem: stems.get(prompt.question.group)! }));
}

function plain(
  { delimiter }: WrittenTask,
  description: string,
  shown: readonly WrittenQuestion[],
  { prompt }: WrittenQuestion,
): string {
  const before = shown.map((each) => `${each.prompt}${delimiter}${each.target}\n\n`);
  return description + before.join("") + prompt;
}

function turns(
  description: string,
  shown: readonly WrittenQuestion[],
  { prompt }: WrittenQuestion,
): Message[] {
  return [
    ...(description === "" ? [] : [{ role: "system", content: description }]),
    ...shown.flatMap((each) => [
      { role: "user", content: each.prompt },
      { role: "assistant", content: each.target },
    ]),
    { role: "user", content: prompt },
  ];
}

/** By group, how many tokens all its prompts begin with. */
function stemsOf(prompts: readonly Omit<Prompt, "stem">[]): Map<string, number> {
  const stems = new Map<string, { first: Int32Array; length: number }>();
  for (const { question, ids } of prompts) {
    const known = stems.get(question.group);
    if (known === undefined) stems.set(question.group, { first: ids, length: ids.length });
    else known.length = sameLength(known.first.subarray(0, known.length), ids);
  }
  return new Map([...stems].map(([group, { length }]) => [group, length]));
}

function sameLength(a: Int32Array, b: Int32Array): number {
  const differs = a.findIndex((id, i) => id !== b[i]);
  return differs < 0 ? a.length : differs;
}

export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
