import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../src/model.js";
import { Team, type TeamOptions } from "../../src/net/team/team.js";

// Going on token by token is compared with what transformers' generate() says: golden/make/generate.py.
const GOLDEN = new URL("../golden/families/", import.meta.url).pathname;
const FAMILIES = readdirSync(GOLDEN).filter((name) => existsSync(join(GOLDEN, name, "generate.json")));

interface Generated {
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
  readonly logprobs: readonly number[];
}

async function withTeam<T>(
  family: string,
  options: TeamOptions,
  use: (team: Team) => Promise<T>,
): Promise<T> {
  const team = await Team.load(openModel(join(GOLDEN, family)), {
    ...{ context: 128, activations: "f32", kvType: "f32", threads: 0 },
    ...options,
  });
  try {
    return await use(team);
  } finally {
    await team.close();
  }
}

/** Feeds tokens in pieces of that size; the logits behind the last. */
async function feed(team: Team, tokens: readonly number[], piece = tokens.length): Promise<Float32Array> {
  let logits: readonly Float32Array[] | undefined;
  for (let at = 0; at < tokens.length; at += piece) {
    logits = await team.step([0], Int32Array.from(tokens.slice(at, at + piece)));
  }
  return logits![0]!;
}

function likeliest(logits: Float32Array): { token: number; logprob: number } {
  const token = logits.reduce((best, value, i) => (value > logits[best]! ? i : best), 0);
  const largest = logits[token]!;
  return { token, logprob: -Math.log(logits.reduce((sum, value) => sum + Math.exp(value - largest), 0)) };
}

async function greedy(team: Team, prompt: readonly number[], count: number, piece?: number) {
  const out: { token: number; logprob: number }[] = [];
  let logits = await feed(team, prompt, piece);
  while (out.length < count) {
    const next = likeliest(logits);
    out.push(next);
    if (out.length < count) logits = await feed(team, [next.token]);
  }
  return out;
}

describe.each(FAMILIES)("%s", (family) => {
  const golden: Generated = JSON.parse(readFileSync(join(GOLDEN, family, "generate.json"), "utf8"));
  const isPrefixed = family === "chatglm";

  test("says what transformers says, on two threads", async () => {
    const said = await withTeam(family, { threads: 2 }, (team) =>
      greedy(team, golden.prompt, golden.tokens.length),
    );
    expect(said.map(({ token }) => token)).toEqual(golden.tokens);
    for (const [i, { logprob }] of said.entries()) {
      expect(Math.abs(logprob - golden.logprobs[i]!)).toBeLessThan(1e-4);
    }
  });

  test.skipIf(isPrefixed)("has the same bits however tokens come, for every number of threads", async () => {
    const tokens = [...golden.prompt, ...golden.tokens];
    const whole = await withTeam(family, {}, (team) => feed(team, tokens));
    for (const [piece, threads] of [
      [1, 0],
      [7, 3],
      [64, 2],
    ] as const) {
      const logits = await withTeam(family, { threads }, (team) => feed(team, tokens, piece));
      expect(Buffer.from(logits.buffer).equals(Buffer.from(whole.buffer))).toBe(true);
    }
  });
});
