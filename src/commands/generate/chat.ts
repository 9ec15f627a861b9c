import { createInterface } from "node:readline";
import { LlqError } from "../../../formats/errors.js";
import type { Chat } from "../../generate/chat/chat.js";
import type { Generated, Timings } from "../../generate/generate.js";
import { t } from "../../language/t.js";
import { stoppedBy, warn } from "../../ui.js";

/** What Ctrl-C does: it ends what is under way, and a second time the program. */
export class Interrupts {
  readonly #leaving = new AbortController();
  #answer: AbortController | undefined;
  #isAsked = true;

  constructor() {
    process.on("SIGINT", () => this.interrupt());
    process.once("SIGTERM", () => this.#leave("SIGTERM"));
  }

  /** Fires when the program is to end, with the error to end with. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** From now on one Ctrl-C is not enough. @returns what fires to end the answer */
  begin(): AbortSignal {
    this.#answer = new AbortController();
    this.#isAsked = false;
    return AbortSignal.any([this.#answer.signal, this.leaving]);
  }

  /** A Ctrl-C that ended the answer counts until the next begins. */
  end(): void {
    this.#isAsked = this.#answer?.signal.aborted ?? false;
    this.#answer = undefined;
  }

  interrupt(): void {
    if (this.#isAsked) this.#leave("SIGINT");
    else if (this.#answer === undefined)
      process.stderr.write(t`
Ctrl-C again, or /exit, leaves
`);
    this.#answer?.abort();
    this.#isAsked = true;
  }

  #leave(signal: NodeJS.Signals): void {
    this.#leaving.abort(stoppedBy(signal));
  }
}

export interface TerminalOptions {
  readonly interrupts: Interrupts;
  /** Fires when nobody reads any more. */
  readonly closed: AbortSignal;
  /** Said before anything is read. */
  readonly first: string | undefined;
  /** After each answer. */
  readonly onAnswer: (generated: Generated) => void;
}

/**
 * A conversation on stdin and stdout, a line a turn, until `/exit` or the end of the input; `/clear` begins anew.
 * @returns how long each answer took
 * @throws LlqError as Chat, where nobody is there to say it otherwise
 */
export async function chatOnTerminal(chat: Chat, options: TerminalOptions): Promise<Timings[]> {
  const { interrupts, closed, first, onAnswer } = options;
  const isTerminal = process.stdin.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    ...(isTerminal ? { output: process.stderr } : {}),
    terminal: isTerminal,
  });
  const input = lines[Symbol.asyncIterator](); // from now on no line is missed
  const ending = AbortSignal.any([interrupts.leaving, closed]);
  ending.addEventListener("abort", () => lines.close());
  lines.on("SIGINT", () => interrupts.interrupt());
  const timings: Timings[] = [];
  const answer = async (content: string) => {
    const signal = AbortSignal.any([interrupts.begin(), closed]);
    try {
      const generation = chat.say(content, signal);
      for await (const { text } of generation) process.stdout.write(text);
      process.stdout.write("\n");
      timings.push(generation.generated.timings);
      onAnswer(generation.generated);
    } catch (error) {
      if (!isTerminal || !(error instanceof LlqError)) throw error;
      warn(error.hint === undefined ? error.message : `${error.message} (${error.hint})`);
    } finally {
      interrupts.end();
    }
  };
  try {
    if (first === undefined) interrupts.end();
    else await answer(first);
    lines.prompt();
    for await (const line of { [Symbol.asyncIterator]: () => input }) {
      if (ending.aborted || line.trim() === "/exit") break;
      if (line.trim() === "/clear") chat.clear();
      else if (line.trim() !== "") await answer(line);
      if (ending.aborted) break;
      lines.prompt();
    }
  } finally {
    lines.close();
  }
  return timings;
}
