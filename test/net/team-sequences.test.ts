import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { pairVectors } from "../../src/kernels/products.js";
import { type Model, openModel } from "../../src/model.js";
import type { Team, TeamOptions } from "../../src/net/team/team.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { Random } from "../support/random.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";
import { bits, FAMILIES, feed, logProbabilities, withTeam } from "../support/team.js";

// Sequences share threads, weights and memory, and nothing else.

pairVectors();
const folder = scratchFolder();
const llama = openModel(TINY_LLAMA);
const packed = join(folder, "Q4_K_M.gguf");
beforeAll(() => execute(planQuantize(llama, findRecipe("Q4_K_M")), packed, { threads: 0 }));

/**
 * Attention, with windows, ALiBi, learned positions, a prefix, gates, sinks, chunks, other layers' keys; Mamba, Mamba-2 beside
 * attention, delta nets beside latents; experts, shared ones too; parallel halves; inputs of layers; several
 * hidden states.
 */
const NAMES = [
  ...["llama", "gemma3", "mistral", "mpt", "gpt2", "chatglm", "mamba", "qwen2-moe", "falcon-40b"],
  ...["afmoe", "gpt-oss", "llama-4", "falcon-h1-norm", "kimi-linear", "gemma4-shared", "gemma3n"],
];
/** Their states keep all tokens or none. */
const RECURRENT = ["mamba", "falcon-h1-norm", "kimi-linear"];
const models = (): [name: string, open: () => Model, TeamOptions][] => [
  ...NAMES.map(
    (name) => [name, () => openModel(`${FAMILIES}${name}`), {}] as [string, () => Model, TeamOptions],
  ),
  ["Q4_K_M, f32", () => openModel(packed), { activations: "f32" }],
  ["Q4_K_M, int8", () => openModel(packed), { activations: "int8", kvType: "q8_0" }],
];

describe.each(models())("%s", (name, open, options) => {
  const model = () => open();
  const vocabSize = name.startsWith("Q4") ? 2048 : 320;
  const random = new Random(name.length);
  const prompts = [9, 23, 40].map((length) => random.ids(length, vocabSize));
  const rest = random.ids(3, vocabSize);
  const alone = (tokens: readonly number[]) =>
    withTeam(model(), options, async (team) => {
      const last = [bits(await feed(team, tokens))];
      for (const token of rest) last.push(bits(await feed(team, [token])));
      return last;
    });
  const goOn = async (team: Team, sequence: number) => {
    const last: string[] = [];
    for (const token of rest) last.push(bits(await feed(team, [token], { sequence })));
    return last;
  };

  test("sequences give what each gives alone", async () => {
    const expected = await Promise.all(prompts.map(alone));
    for (const threads of [0, 2]) {
      const said = await withTeam(model(), { ...options, sequences: 3, threads }, async (team) => {
        const logits: string[][] = [];
        for (const [sequence, tokens] of prompts.entries())
          logits.push([bits(await feed(team, tokens, { sequence }))]);
        for (const token of rest) {
          const together = await team.step([2, 0, 1], Int32Array.of(token, token, token));
          for (const [i, sequence] of [2, 0, 1].entries()) logits[sequence]!.push(bits(together[i]!));
        }
        return logits;
      });
      expect(said).toEqual(expected);
    }
  });

  test("prompts of one length go together", async () => {
    const tokens = [0, 1, 2].map(() => random.ids(50, vocabSize));
    const expected = await Promise.all(tokens.map(async (each) => (await alone(each))[0]));
    const said = await withTeam(model(), { ...options, sequences: 3 }, (team) =>
      team.step([1, 0, 2], Int32Array.from(tokens.flat())),
    );
    expect(said.map(bits)).toEqual(expected);
  });

  test("a copy goes its own way, and so does what it is of", async () => {
    const [first, second] = [prompts[1]!, prompts[0]!];
    const isPrefixed = name === "chatglm"; // what is fed behind a prefix is not of it
    const [a, b] = await Promise.all([alone(first), isPrefixed ? undefined : alone([...first, ...second])]);
    await withTeam(model(), { ...options, sequences: 2, threads: 2 }, async (team) => {
      await feed(team, second, { sequence: 1 });
      await feed(team, first);
      team.copy(1, 0);
      expect(team.lengthOf(1)).toBe(first.length);
      const longer = bits(await feed(team, second, { sequence: 1 }));
      expect(await goOn(team, 0)).toEqual(a.slice(1));
      if (b !== undefined) expect([longer, ...(await goOn(team, 1))]).toEqual(b);
    });
  });

  test("tokens that are forgotten leave nothing", async () => {
    const [start, wrong] = [prompts[1]!, prompts[2]!];
    const expected = await alone(start);
    await withTeam(model(), { ...options, threads: 2 }, async (team) => {
      await feed(team, start);
      await feed(team, wrong);
      if (!RECURRENT.includes(name)) {
        expect(team.truncate(0, start.length)).toBe(true);
        expect(await goOn(team, 0)).toEqual(expected.slice(1));
      } else expect(team.truncate(0, start.length)).toBe(false);
      expect(team.truncate(0, team.lengthOf(0) + 1)).toBe(false);
      expect(team.truncate(0, 0)).toBe(true);
      expect([bits(await feed(team, start)), ...(await goOn(team, 0))]).toEqual(expected);
    });
  });

  test("layers in memories of their own give the same", async () => {
    const expected = await alone(prompts[2]!);
    const threads = 2;
    const apart = { ...options, threads, memoryLimit: 1 };
    const said = await withTeam(model(), apart, async (team) => {
      const memories = await withTeam(model(), { ...options, threads }, async (other) => other.memory);
      expect(team.memory).toBeGreaterThan(memories);
      return [bits(await feed(team, prompts[2]!)), ...(await goOn(team, 0))];
    });
    expect(said).toEqual(expected);
  });
});

test("a ring says what it has lost, and keeps the rest", async () => {
  const tokens = new Random(1).ids(900, 320);
  const options = { context: 1024 };
  const other = new Random(2).ids(30, 320);
  // Cells for 24 + 512 tokens, in steps of 256: of 900 the first 132 are gone, and position 155 sees from there on.
  const expected = await withTeam("mistral", options, async (team) => {
    await feed(team, tokens.slice(0, 155));
    return bits(await feed(team, other));
  });
  await withTeam("mistral", { ...options, sequences: 2 }, async (team) => {
    await feed(team, tokens, { piece: 100 });
    team.copy(1, 0);
    await feed(team, other, { sequence: 1 });
    const further = await team.step([1], Int32Array.of(5));
    expect(team.truncate(0, 154)).toBe(false);
    expect(team.lengthOf(0)).toBe(900);
    expect(team.truncate(0, 155)).toBe(true);
    expect(bits(await feed(team, other))).toBe(expected);
    expect(team.truncate(0, 100)).toBe(false);
    expect(team.truncate(0, 0)).toBe(true);
    expect(bits(await feed(team, tokens.slice(0, 155)))).not.toBe(expected);
    expect(bits(await feed(team, other))).toBe(expected);
    expect(team.truncate(0, 0)).toBe(true);
    await feed(team, [...tokens, ...other], { piece: 64 });
    expect(bits(await feed(team, [5]))).toBe(bits(further[0]!));
  });
});

test("a prefix is seen as a whole, so nothing of it can be forgotten", async () => {
  const model = openModel(`${FAMILIES}chatglm`);
  const { start, gmask } = model.hparams.prefixTokens!;
  const [prompt, more] = [
    [...new Random(4).ids(20, 300).map((id) => id + 10), gmask, start],
    [17, 18, 19],
  ];
  const whole = [...prompt, ...more];
  const expected = await withTeam(model, {}, (team) => feed(team, whole));
  await withTeam(model, { sequences: 3 }, async (team) => {
    await feed(team, whole);
    expect(team.truncate(0, 10)).toBe(false);
    expect(team.truncate(0, prompt.length)).toBe(true);
    expect(bits(await feed(team, more))).toBe(bits(expected));
    const together = await team.step([1, 2], Int32Array.from([...whole, ...whole]));
    expect(together.map(bits)).toEqual([bits(expected), bits(expected)]);
  });
});

describe("types of keys and values", () => {
  const tokens = new Random(5).ids(100, 2048);
  const said = (kvType: TeamOptions["kvType"]) =>
    withTeam(llama, { kvType, threads: 2 }, async (team) => logProbabilities(await feed(team, tokens)));

  // KL(f32 || type) of the last token's distribution: found, and doubled.
  test.each([
    ["f16", 1e-6],
    ["bf16", 1e-5],
    ["q8_0", 1e-4],
    ["q4_0", 1e-2],
  ] as const)("%s is near f32", async (kvType, most) => {
    const [exact, near] = [await said("f32"), await said(kvType)];
    const kld = exact.reduce((sum, p, i) => sum + Math.exp(p) * (p - near[i]!), 0);
    expect(kld).toBeGreaterThan(0);
    expect(kld).toBeLessThan(most);
  });

  test.each([0, 2])("heads that do not divide into blocks are refused, %i threads", async (threads) => {
    const loading = withTeam("llama", { kvType: "q8_0", threads }, async () => {});
    await expect(loading).rejects.toMatchObject({
      code: "usage",
      message: "heads of 8 do not divide into Q8_0 blocks of 32",
      hint: "--kv-type f16",
    });
  });
});
