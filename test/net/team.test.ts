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

// To start threads takes longer than all else here: what is done on some threads shares them, in sequences of its own, and
// every other family has one more of them.
describe.each(FAMILIES)("%s", (family) => {
  const golden: Generated = JSON.parse(readFileSync(join(GOLDEN, family, "generate.json"), "utf8"));
  const tokens = [...golden.prompt, ...golden.tokens];
  const isOdd = FAMILIES.indexOf(family) % 2 === 1;
  const threads = isOdd ? 2 : 3;
  const isPrefixed = family === "chatglm"; // what is fed behind a prefix is not of it

  test(`says what transformers says, on ${threads} threads, with the bits of one, however it is fed`, async () => {
    const several = await withTeam(family, { threads, sequences: 2 }, async (team) => {
      const { out, last } = await greedy(team, golden.prompt, golden.tokens.length);
      const pieces = isOdd || isPrefixed ? last : bits(await feed(team, tokens, { sequence: 1, piece: 7 }));
      return { out, last, pieces };
    });
    expect(several.out.map(({ token }) => token)).toEqual(golden.tokens);
    for (const [i, { logprob }] of several.out.entries()) {
      expect(Math.abs(logprob - golden.logprobs[i]!)).toBeLessThan(1e-4);
    }
    if (isPrefixed) return;
    const one = await withTeam(family, { sequences: 2 }, async (team) => {
      const whole = bits(await feed(team, tokens));
      return { whole, pieces: isOdd ? bits(await feed(team, tokens, { sequence: 1, piece: 1 })) : whole };
    });
    expect(several).toMatchObject({ last: one.whole, pieces: one.whole });
    expect(one.pieces).toBe(one.whole);
  });
});
