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

/** The likeliest tokens, one after the other, and the bits of what is said behind the last. */
async function greedy(team: Team, prompt: readonly number[], count: number) {
  const out: { token: number; logprob: number }[] = [];
  let logits = await feed(team, prompt);
  while (out.length < count) {
    const said = logProbabilities(logits);
    const token = likeliest(said);
    out.push({ token, logprob: said[token]! });
    logits = await feed(team, [token]);
  }
  return { out, last: bits(logits) };
}

describe.each(FAMILIES)("%s", (family) => {
  const golden: Generated = JSON.parse(readFileSync(join(GOLDEN, family, "generate.json"), "utf8"));
  const isPrefixed = family === "chatglm";

  /** Fed at once, in the test's own thread. */
  const whole = () =>
    withTeam(family, {}, async (team) => bits(await feed(team, [...golden.prompt, ...golden.tokens])));

  test("says what transformers says, on two threads, with the bits of one", async () => {
    const { out, last } = await withTeam(family, { threads: 2 }, (team) =>
      greedy(team, golden.prompt, golden.tokens.length),
    );
    expect(out.map(({ token }) => token)).toEqual(golden.tokens);
    for (const [i, { logprob }] of out.entries()) {
      expect(Math.abs(logprob - golden.logprobs[i]!)).toBeLessThan(1e-4);
    }
    if (!isPrefixed) expect(last).toBe(await whole()); // what is fed behind a prefix is not of it
  });

  // To start threads takes longer than all else here: of two neighbours one has three of them.
  const [piece, threads] = FAMILIES.indexOf(family) % 2 === 0 ? [7, 3] : [1, 0];
  test.skipIf(isPrefixed)(`has the same bits in pieces of ${piece}, on ${threads} threads`, async () => {
    const tokens = [...golden.prompt, ...golden.tokens];
    const logits = await withTeam(family, { threads }, (team) => feed(team, tokens, { piece }));
    expect(bits(logits)).toBe(await whole());
  });
});
