import { createHash } from "node:crypto";
import { type Model, openModel } from "../../src/model.js";
import { Team, type TeamOptions } from "../../src/net/team/team.js";

/** Folders of tiny models of every family, by test/golden/make/families.py. */
export const FAMILIES = new URL("../golden/families/", import.meta.url).pathname;

/** Settings that add nothing to the model's own numbers. */
const EXACT = { context: 128, activations: "f32", kvType: "f32", threads: 0 } as const;

/** A model that is loaded for as long as `use` takes. @param model a family's name, or a model */
export async function withTeam<T>(
  model: Model | string,
  options: TeamOptions,
  use: (team: Team) => Promise<T>,
): Promise<T> {
  const opened = typeof model === "string" ? openModel(`${FAMILIES}${model}`) : model;
  const team = await Team.load(opened, { ...EXACT, ...options });
  try {
    return await use(team);
  } finally {
    await team.close();
  }
}

/** Feeds tokens in pieces of that size; the logits behind the last. */
export async function feed(
  team: Team,
  tokens: readonly number[],
  { sequence = 0, piece = tokens.length }: { sequence?: number; piece?: number | undefined } = {},
): Promise<Float32Array> {
  let logits: readonly Float32Array[] | undefined;
  for (let at = 0; at < tokens.length; at += piece) {
    logits = await team.step([sequence], Int32Array.from(tokens.slice(at, at + piece)));
  }
  return logits![0]!;
}

/** ln p of every token. */
export function logProbabilities(logits: Float32Array): Float64Array {
  const largest = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  const sum = logits.reduce((total, value) => total + Math.exp(value - largest), 0);
  return Float64Array.from(logits, (value) => value - largest - Math.log(sum));
}

export function likeliest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Equal for floats that are equal to the bit, and hardly for others. */
export function bits(floats: Float32Array): string {
  const bytes = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}
