import type { Temperature } from "../../arch/traits.js";
import type { Work } from "../work.js";

/** Makes queries [tokens][width] grow with their position, where the model has it so. */
export function heat(
  { kernels, batch }: Work,
  temperature: Temperature | undefined,
  q: number,
  width: number,
): void {
  if (temperature === undefined) return;
  const { scale, length, offset } = temperature;
  const { chunks, context, starts } = batch;
  for (let chunk = 0; chunk < chunks; chunk++) {
    for (let token = 0; token < context; token++) {
      const position = (starts?.[chunk] ?? 0) + token;
      const factor = 1 + scale * Math.log1p(Math.floor((position + offset) / length));
      if (factor !== 1) kernels.call("scale")(q + (chunk * context + token) * width * 4, width, factor);
    }
  }
}
