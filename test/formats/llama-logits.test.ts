import { describe, expect, test } from "vitest";
import { BufferSource } from "../../formats/bytes.js";
import { readLlamaLogits } from "../../formats/llama-logits.js";
import { refusal } from "../support/build/build.js";

/** One chunk of three tokens over a vocabulary of two: one scored row of 8 + 2 × 2 bytes. */
function logitsOf(...tokens: [number, number, number]): BufferSource {
  const bytes = Buffer.alloc(8 + 12 + 12 + 12);
  bytes.write("_logits_");
  for (const [i, value] of [3, 2, 1, ...tokens].entries()) bytes.writeInt32LE(value, 8 + 4 * i);
  return new BufferSource("x.kld", bytes);
}

describe("tokens of llama-perplexity's logits", () => {
  test("are accepted from 0 to the last of the vocabulary", () => {
    expect([...readLlamaLogits(logitsOf(0, 1, 0)).chunks[0]!]).toEqual([0, 1, 0]);
  });

  test.each([-1, 2])("are refused beyond it: %i", (token) => {
    expect(refusal(() => readLlamaLogits(logitsOf(0, token, 0)))).toContain(
      `byte 24: token ${token} is beyond the vocabulary of 2`,
    );
  });
});
