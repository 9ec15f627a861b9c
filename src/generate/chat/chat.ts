import type { Model } from "../../model.js";
import type { Tokenizer } from "../../tokenizer/types.js";
import type { Engine } from "../engine.js";
import { type Generation, generate } from "../generate.js";
import { Held } from "../held.js";
import type { GenerateOptions, Piece } from "../lane.js";
import { renderedEncoder } from "../text/prompt.js";
import { type ChatTemplate, type Message, type RenderOptions, renderChat } from "./template.js";

/** What of a model a chat needs. */
export type ChatModel = Pick<Model, "vocab" | "architecture">;

/** Ids of messages up to where the model's answer begins. @throws LlqError as renderChat */
export function chatEncoder(
  { vocab, architecture }: ChatModel,
  tokenizer: Tokenizer,
  template: ChatTemplate,
): (messages: readonly Message[], options?: RenderOptions) => Int32Array {
  const stripsBehindControl = architecture.name === "phi3" && vocab.kind === "spm";
  const encode = renderedEncoder(vocab, tokenizer, { stripsBehindControl });
  return (messages, options) => encode(renderChat(template, vocab, messages, options));
}

/**
 * A conversation of several turns in one sequence: of each turn only that is fed which the sequence does not hold. What
 * was said and answered stands in `messages`, an answer that was stopped as far as it came.
 */
export class Chat {
  readonly messages: Message[] = [];
  readonly #engine: Engine;
  readonly #model: ChatModel;
  readonly #encode: ReturnType<typeof chatEncoder>;
  readonly #options: GenerateOptions & RenderOptions;
  readonly #system: readonly Message[];
  readonly #held: Held;

  /** @param system how the model is to answer */
  constructor(
    engine: Engine,
    model: ChatModel,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    options: GenerateOptions & RenderOptions = {},
    system?: string,
  ) {
    this.#engine = engine;
    this.#model = model;
    this.#encode = chatEncoder(model, tokenizer, template);
    this.#options = options;
    this.#system = system === undefined ? [] : [{ role: "system", content: system }];
    this.#held = new Held(engine);
  }

  /**
   * The answer to what is said. A turn that fails before its first token is as if it had not been.
   * @throws LlqError as renderChat; when iterated as generate
   */
  say(content: string, signal?: AbortSignal): Generation {
    const said: Message = { role: "user", content };
    const prompt = this.#encode([...this.#system, ...this.messages, said], this.#options);
    const options = { ...this.#options, continues: false, held: this.#held, signal };
    const answer = generate(this.#engine, this.#model.vocab, prompt, options);
    const messages = this.messages;
    async function* run(): AsyncGenerator<Piece> {
      let text: string | undefined;
      try {
        for await (const piece of answer) {
          text = (text ?? "") + piece.text;
          yield piece;
        }
      } finally {
        if (text !== undefined) messages.push(said, { role: "assistant", content: text });
      }
    }
    return {
      [Symbol.asyncIterator]: run,
      get generated() {
        return answer.generated;
      },
    };
  }

  /** Forgets what was said, but not how to answer. */
  clear(): void {
    this.messages.length = 0;
  }

  close(): void {
    this.#held.close();
  }
}
