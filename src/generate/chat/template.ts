import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { DEFAULT_TEMPLATE, SPECIAL_TOKENS, type Vocab } from "../../tokenizer/types.js";
import { renderTemplate, TemplateError } from "./interpreter.js";

export interface Message {
  /** `system`, `user`, `assistant`, or what else the template knows. */
  readonly role: string;
  readonly content: string;
}

export interface ChatTemplate {
  /** For messages. */
  readonly name: string;
  readonly source: string;
}

export interface RenderOptions {
  /** The text ends where the model's answer begins. Default: true. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** What else the template asks for, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The template that a model's messages are written by; undefined when it has none.
 * @param path the model's, for messages
 */
export function chatTemplateOf(path: string, { chatTemplates }: Vocab): ChatTemplate | undefined {
  const source = chatTemplates.get(DEFAULT_TEMPLATE) ?? chatTemplates.values().next().value;
  return source === undefined ? undefined : { name: t`chat template of ${path}`, source };
}

/**
 * Messages as the model was trained to read them, in the variables that transformers gives to a template: `messages`,
 * `add_generation_prompt`, `bos_token` and its like, and no tools or documents.
 * @throws LlqError `bad-input` with the line of the template, for one that is damaged or refuses the messages
 */
export function renderChat(
  template: ChatTemplate,
  vocab: Pick<Vocab, "special" | "tokens">,
  messages: readonly Message[],
  { addGenerationPrompt = true, variables }: RenderOptions = {},
): string {
  const special = SPECIAL_TOKENS.flatMap((name) => {
    const id = vocab.special[name];
    return id === undefined ? [] : [[`${name}_token`, vocab.tokens[id]!] as const];
  });
  try {
    return renderTemplate(template.source, {
      ...{ bos_token: "", eos_token: "", tools: null, documents: null },
      ...Object.fromEntries(special),
      messages,
      add_generation_prompt: addGenerationPrompt,
      ...variables,
    });
  } catch (cause) {
    if (!(cause instanceof TemplateError)) throw cause;
    const place = cause.line === undefined ? template.name : t`${template.name}, line ${cause.line}`;
    if (cause.isRefusal) throw badInput(t`${place} refuses the messages: ${cause.message}`);
    throw badInput(`${place}: ${cause.message}`, t`--template takes another one, --raw none`);
  }
}

/** @throws LlqError `usage` for a model without a template */
export function requireTemplate(path: string, template: ChatTemplate | undefined): ChatTemplate {
  if (template !== undefined) return template;
  throw new LlqError("usage", t`${path} has no chat template, so it may know nothing of turns`, {
    hint: t`--template <file> gives it one; without --chat it goes on with a text`,
  });
}
