import { LlqError, nearest } from "../../formats/errors.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

/** Every model family this version knows. A new one is a file beside this and an entry here. */
export const ARCHITECTURES: readonly Architecture[] = [llama];

/** By the name in config.json's `architectures`. @throws LlqError `unsupported` */
export function architectureOfModel(file: string, model: string): Architecture {
  const found = ARCHITECTURES.find(({ models }) => models.includes(model));
  if (found !== undefined) return found;
  throw unknown(
    file,
    model,
    ARCHITECTURES.flatMap(({ models }) => models),
  );
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
