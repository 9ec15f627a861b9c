import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Team } from "../../src/net/team/team.js";
import { bits, feed, FAMILIES as GOLDEN, likeliest, logProbabilities, withTeam } from "../support/team.js";

// Going on token by token is compared with what transformers' generate() says: golden/make/generate.py.
const FAMILIES = readdirSync(GOLDEN).filter((name) => existsSync(join(GOLDEN, name, "generate.json")));

interface Generated {
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
  readonly logprobs: readonly number[];
}

async function greedy(team: Team, prompt: readonly number[], count: number, piece?: number) {
  const out: { token: number; logprob: number }[] = [];
  let logits = await feed(team, prompt, { piece });
  while (out.length < count) {
    const said = logProbabilities(logits);
    const token = likeliest(said);
    out.push({ token, logprob: said[token]! });
    if (out.length < count) logits = await feed(team, [token]);
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
      const logits = await withTeam(family, { threads }, (team) => feed(team, tokens, { piece }));
      expect(bits(logits)).toBe(bits(whole));
    }
  });
});
