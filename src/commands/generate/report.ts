import type { Generated, Timings } from "../../generate/generate.js";
import { t } from "../../language/t.js";
import type { GENERATED } from "../../report/documents/evaluate.js";
import { printJson } from "../../ui.js";

/** Of one answer, or of several that come one after another. */
export function describeTimings(timings: readonly Timings[]): string {
  const sum = (key: keyof Timings) => timings.reduce((total, each) => total + each[key], 0);
  const speed = (tokens: number, seconds: number) => (seconds > 0 ? (tokens / seconds).toFixed(1) : "0.0");
  const [prompt, reused, decoded] = [sum("promptTokens"), sum("reusedTokens"), sum("decodeTokens")];
  const held = reused > 0 ? t` and ${reused} held already` : "";
  const fed = t`prompt ${prompt} tokens${held}, ${speed(prompt, sum("promptSeconds"))} tokens/s`;
  const answers = timings.filter(({ promptTokens }) => promptTokens > 0).length;
  return t`${fed}; ${decoded + answers} tokens, ${speed(decoded, sum("decodeSeconds"))} tokens/s`;
}

/** What the user may not expect of how it ended. */
export function remarkOnFinish({ finish }: Generated, context: number): string | undefined {
  if (finish !== "context") return undefined;
  return t`the context of ${context} tokens is full: --context gives more, --context-shift goes on without the oldest`;
}

/** @param model what the user called it */
export function printGenerated(model: string, generated: Generated, isChat: boolean): void {
  const { prompt, pieces, text, finish, seed, timings } = generated;
  printJson<typeof GENERATED>({
    schema: 1,
    model,
    template: isChat,
    prompt: { tokens: [...prompt] },
    tokens: pieces,
    text,
    finish,
    seed: seed === undefined ? undefined : Number(seed),
    timings,
  });
}
