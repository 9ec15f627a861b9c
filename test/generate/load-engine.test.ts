import { afterAll, describe, expect, test } from "vitest";
import { generateBatch } from "../../src/generate/batch.js";
import type { Engine, EngineOptions } from "../../src/generate/engine.js";
import { type Generated, generate, type RunOptions } from "../../src/generate/generate.js";
import { loadEngine } from "../../src/generate/load-engine.js";
import { pairVectors } from "../../src/kernels/products.js";
import { type Model, openModel } from "../../src/model.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { Random } from "../support/random.js";
import { TINY_LLAMA } from "../support/scratch.js";
import { evaluatorEngine } from "../support/stand-in-engine.js";
import { FAMILIES } from "../support/team.js";

pairVectors();
const llama = openModel(TINY_LLAMA);
const encode = (text: string) => createTokenizer(llama.vocab).encode(text);
const EXACT: EngineOptions = { context: 64, activations: "f32", kvType: "f32", threads: 2 };

const open: Engine[] = [];
afterAll(() => Promise.all(open.map((engine) => engine.close())));

async function load(model: Model, options: Partial<EngineOptions> = {}): Promise<Engine> {
  const engine = await loadEngine(model, { ...EXACT, ...options });
  open.push(engine);
  return engine;
}

async function say(
  engine: Engine,
  model: Model,
  prompt: Int32Array,
  options: RunOptions,
): Promise<Generated> {
  const generation = generate(engine, model.vocab, prompt, options);
  for await (const _ of generation);
  return generation.generated;
}

describe("a reference that keeps nothing and computes every token anew says the same", {
  timeout: 60_000,
}, () => {
  const random = new Random(8);
  const family = (name: string) => openModel(`${FAMILIES}${name}`);
  const ids = (count: number) => Int32Array.from(random.ids(count, 300));
  test.each<[name: string, Model, Int32Array, context: number, maxTokens: number]>([
    ["tiny-llama", llama, encode("The little dog"), 64, 24],
    ["tiny-llama, its context shifted", llama, encode("The little dog"), 12, 30],
    ["Mamba, which cannot cut", family("mamba"), ids(20), 32, 30],
    ["windows", family("gemma3"), ids(40), 48, 30],
    ["learned positions", family("gpt2"), ids(20), 32, 30],
    ["ChatGLM, its prompt longer than others are fed at once", family("chatglm"), chatglmPrompt(600), 640, 4],
  ])("%s", async (_, model, prompt, context, maxTokens) => {
    const [shifts, expected]: [number[], number[]] = [[], []];
    const shift = (to: number[]) => ({
      ...{ maxTokens, logprobs: 0 },
      contextShift: { onShift: (forgotten: number) => to.push(forgotten) },
    });
    const engine = await load(model, { context });
    const reference = await evaluatorEngine(model, { context, piece: engine.piece });
    const ours = await say(engine, model, prompt, shift(shifts));
    const theirs = await say(reference, model, prompt, shift(expected));
    expect(ours.pieces).toEqual(theirs.pieces); // log-probabilities too, to the last bit
    expect(ours.text).toBe(theirs.text);
    expect(shifts).toEqual(expected);
    expect(shifts.length > 0).toBe(prompt.length + maxTokens > context + 1);
  });

  function chatglmPrompt(length: number): Int32Array {
    const { start, gmask, mask } = family("chatglm").hparams.prefixTokens!;
    const words = ids(length - 2).map((id) => ([start, gmask, mask].includes(id) ? 0 : id));
    return Int32Array.of(...words, gmask, start);
  }
});

describe("several prompts", () => {
  const prompts = ["The", "The little dog", "Once upon a time there", "In 1492,", "It"].map(encode);

  test.each([
    ["f32", undefined],
    ["int8", findRecipe("Q4_K_M")],
  ] as const)("at once say what they say one by one, %s", async (activations, recipe) => {
    const options = { activations, recipe };
    const one = await load(llama, options);
    const alone: Generated[] = [];
    for (const prompt of prompts) alone.push(await say(one, llama, prompt, { maxTokens: 12, logprobs: 1 }));
    const engine = await load(llama, { ...options, sequences: 3 });
    const together = await generateBatch(engine, llama.vocab, prompts, { maxTokens: 12, logprobs: 1 });
    expect(together.map(({ pieces, text, finish }) => ({ pieces, text, finish }))).toEqual(
      alone.map(({ pieces, text, finish }) => ({ pieces, text, finish })),
    );
    const apart = await Promise.all(
      prompts.slice(0, 3).map((prompt) => say(engine, llama, prompt, { maxTokens: 12, logprobs: 1 })),
    );
    expect(apart.map(({ pieces }) => pieces)).toEqual(alone.slice(0, 3).map(({ pieces }) => pieces));
  });

  test("more sequences than there are, and closed ones, are refused", async () => {
    const engine = await load(llama, { sequences: 2 });
    const [first] = [engine.open(), engine.open()];
    expect(() => engine.open()).toThrow("more than 2 sequences");
    first.close();
    first.close();
    await expect(engine.step([{ sequence: first, tokens: Int32Array.of(1) }])).rejects.toThrow("closed");
    engine.open();
    expect(() => engine.open()).toThrow("more than 2 sequences");
  });
});

describe("what cannot be is refused", () => {
  const refused = (model: Model, options: Partial<EngineOptions>) =>
    load(model, options).then(
      () => "accepted",
      ({ code, message }) => `${code}: ${message}`,
    );

  test("a context beyond the positions that the model has learned", async () => {
    const model = openModel(`${FAMILIES}gpt2`);
    expect(await refused(model, { context: 513 })).toBe(
      "usage: the model knows 512 positions; a context of 513 is too long",
    );
    expect(await refused(model, { context: 512 })).toBe("accepted");
  });

  test("quantizing what is quantized already", async () => {
    const model = openModel(`${FAMILIES}llama`);
    const quantized = {
      ...model,
      tensors: model.tensors.map((tensor) => ({ ...tensor, dtype: "Q8_0" as const })),
    };
    expect(await refused(quantized, { recipe: findRecipe("Q4_0") })).toMatch(
      /^usage: .* is quantized already/,
    );
  });

  test("tokens outside the vocabulary, none at all, and more than the context", async () => {
    const engine = await load(llama, { context: 8 });
    const sequence = engine.open();
    const step = (...tokens: number[]) => engine.step([{ sequence, tokens: Int32Array.from(tokens) }]);
    await expect(step(1, 2048)).rejects.toThrow("token 2048 of a vocabulary of 2048");
    await expect(step(-1)).rejects.toThrow("token -1");
    await expect(step()).rejects.toThrow(RangeError);
    const feed = { sequence, tokens: Int32Array.of(1) };
    await expect(engine.step([feed, feed])).rejects.toThrow("twice");
    await expect(step(...new Array(9).fill(1))).rejects.toThrow("9 tokens in a context of 8");
    expect(sequence.length).toBe(0);
    await step(...new Array(8).fill(1));
    await expect(step(1)).rejects.toThrow("9 tokens in a context of 8");
    expect(sequence.length).toBe(8);
    sequence.close();
    for (const ids of [[1, 2048], [-1]]) {
      const generation = say(engine, llama, Int32Array.from(ids), {});
      await expect(generation).rejects.toMatchObject({ code: "bad-input" });
    }
  });
});
