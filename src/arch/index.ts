import * as v from "valibot";
import { badInput, LlqError, nearest } from "../../formats/errors.js";
import type { Architecture } from "./architecture.js";
import { falcon } from "./falcon.js";
import { gpt2 } from "./gpt2.js";
import { llama } from "./llama.js";
import { mpt } from "./mpt.js";
import { olmo2 } from "./olmo2.js";
import { qwen } from "./qwen.js";
import { starcoder2 } from "./starcoder2.js";

/** Every model family this version knows. A new one is a file beside this and an entry here. */
export const ARCHITECTURES: readonly Architecture[] = [llama, falcon, gpt2, mpt, olmo2, qwen, starcoder2];

/** By what config.json says. @throws LlqError `bad-input` when it names no architecture, `unsupported` */
export function architectureOfConfig(file: string, json: unknown): Architecture {
  const parsed = v.safeParse(
    v.looseObject({ architectures: v.pipe(v.array(v.string()), v.minLength(1)) }),
    json,
  );
  if (!parsed.success) {
    throw badInput(
      `${file}: no "architectures"`,
      'a language model\'s config.json names its class, as in "architectures": ["LlamaForCausalLM"]',
    );
  }
  const config = parsed.output;
  const name = config.architectures[0]!;
  const ofClass = ARCHITECTURES.filter(({ classes }) => classes.includes(name));
  const found = ofClass.find(({ accepts }) => accepts?.(config) ?? true);
  if (found !== undefined) return found;
  if (ofClass.length === 0) {
    throw unknown(
      file,
      name,
      ARCHITECTURES.flatMap(({ classes }) => classes),
    );
  }
  throw new LlqError("unsupported", `${file}: this kind of ${name} is not supported`, {
    hint: `${name} is supported for ${ofClass.flatMap(({ covers }) => covers).join(", ")}`,
  });
}

/** By GGUF's `general.architecture`. @throws LlqError `unsupported` */
export function architectureOfGguf(file: string, name: string): Architecture {
  const found = ARCHITECTURES.find((architecture) => architecture.name === name);
  if (found !== undefined) return found;
  throw unknown(
    file,
    name,
    ARCHITECTURES.map((architecture) => architecture.name),
  );
}

function unknown(file: string, name: string, known: string[]): LlqError {
  const near = nearest(name, known);
  const question = near === undefined ? "" : `did you mean ${near}? `;
  return new LlqError("unsupported", `${file}: architecture ${name} is not supported`, {
    hint: `${question}supported: ${known.join(", ")}`,
  });
}
