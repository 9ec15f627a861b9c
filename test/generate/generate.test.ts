import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { generateBatch } from "../../src/generate/batch.js";
import { generate, type RunOptions } from "../../src/generate/generate.js";
import { Held } from "../../src/generate/held.js";
import { StopFilter } from "../../src/generate/text/stop.js";
import { openModel } from "../../src/model.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { TOKEN_TYPE, type Vocab } from "../../src/tokenizer/types.js";
import { TINY_LLAMA } from "../support/scratch.js";
import {
  evaluatorEngine,
  type StandIn,
  type StandInOptions,
  scriptedEngine,
} from "../support/stand-in-engine.js";

const { NORMAL, CONTROL, BYTE } = TOKEN_TYPE;
// biome-ignore format: one line
const ROWS = [["<s>", CONTROL], ["</s>", CONTROL], ["a", NORMAL], ["b", NORMAL], ["▁c", NORMAL], ["\n", NORMAL], ["<0xE2>", BYTE], ["<0x82>", BYTE], ["<0xAC>", BYTE]] as const;
const [A, B, C, LINE, E2, N82, AC] = [2, 3, 4, 5, 6, 7, 8] as const;
const END = 1;
const vocab: Vocab = {
  kind: "spm",
  tokens: ROWS.map(([text]) => text),
  types: ROWS.map(([, type]) => type),
  pre: "default",
  special: { bos: 0, eos: 1 },
  addBos: true,
  addEos: false,
  addSpacePrefix: true,
  removeExtraWhitespaces: false,
  chatTemplates: new Map(),
};

/** An engine that says these tokens after any prompt that begins with <s> a, and then b for ever. */
function saying(tokens: readonly number[], options?: StandInOptions): StandIn {
  return scriptedEngine(ROWS.length, (all) => tokens[all.length - 2] ?? B, options);
}

const PROMPT = Int32Array.of(0, A);

async function run(engine: StandIn, options: RunOptions = {}, prompt = PROMPT) {
  const generation = generate(engine, vocab, prompt, { ends: new Set([END]), maxTokens: 20, ...options });
  const texts: string[] = [];
  for await (const { text } of generation) texts.push(text);
  const { generated } = generation;
  return { texts, ...generated, tokens: generated.pieces.map(({ token }) => token) };
}

async function refused(engine: StandIn, options: RunOptions = {}, prompt = PROMPT): Promise<string> {
  return run(engine, options, prompt).then(
    () => "accepted",
    (error) => `${error.code}: ${error.message}`,
  );
}

describe("stop strings", () => {
  const stops = (stop: string[], ...texts: string[]) => {
    const filter = new StopFilter(stop);
    return [
      ...texts.map((text) => filter.push(text)).map(({ text, stopped }) => (stopped ? `${text}!` : text)),
      filter.end(),
    ];
  };
  it("hold back what may be their beginning", () => {
    expect(stops(["abc"], "xa", "b", "d", "ab")).toEqual(["x", "", "abd", "", "ab"]);
    expect(stops(["aab"], "aa", "ab")).toEqual(["", "a!", ""]);
    expect(stops(["\n\n", "User:"], "x\n", "Us", "\n", "\ny")).toEqual(["x", "\n", "Us", "!", ""]);
  });
  it("end at the first of several", () => {
    expect(stops(["cd", "bc"], "abcd")).toEqual(["a!", ""]);
    expect(stops([], "ab", "")).toEqual(["ab", "", ""]);
  });
  it("are never part of the text, across tokens too", async () => {
    const { texts, finish, tokens } = await run(saying([A, B, C, LINE, B]), { stop: ["b c\n"] });
    expect({ texts, finish, tokens }).toEqual({
      texts: ["a", "", "", ""],
      finish: "stop",
      tokens: [A, B, C, LINE],
    });
    const other = await run(saying([A, B, C, A, END]), { stop: ["b c\n"] });
    expect(other).toMatchObject({ text: "ab ca", finish: "end", texts: ["a", "", "", "b ca", ""] });
  });
  it("may stand at the end of all text", async () => {
    expect(await run(saying([A, E2, N82, END]), { stop: ["\ufffd"] })).toMatchObject({
      text: "a",
      finish: "stop",
    });
    expect(await run(saying([A, B, END]), { stop: ["bc"] })).toMatchObject({ text: "ab", finish: "end" });
  });
});

describe("ends", () => {
  it("a token that ends, as many as wanted, a full context", async () => {
    expect(await run(saying([A, C, END, A]))).toMatchObject({
      text: "a c",
      finish: "end",
      tokens: [A, C, END],
    });
    expect(await run(saying([A, END]), { special: true })).toMatchObject({ text: "a</s>" });
    expect(await run(saying([A, END]), { ends: new Set(), maxTokens: 3 })).toMatchObject({
      text: "ab",
      finish: "length",
    });
    const full = await run(saying([], { context: 5 }));
    expect(full).toMatchObject({ text: "bbbb", finish: "context" }); // three fed behind the prompt, and one more
  });
  it("characters come whole, and what is none at the end", async () => {
    expect((await run(saying([E2, N82, AC, END]))).texts).toEqual(["", "", "€", ""]);
    expect((await run(saying([E2, N82]), { maxTokens: 2 })).texts).toEqual(["", "\ufffd"]);
  });
  it("the space in front is the text's own when it goes on with the prompt's", async () => {
    expect((await run(saying([C, END]))).text).toBe(" c");
    expect((await run(saying([C, END]), { continues: false })).text).toBe("c");
    const start = scriptedEngine(ROWS.length, (all) => [C, END][all.length - 1]!);
    expect((await run(start, {}, Int32Array.of(0))).text).toBe("c");
  });
  it("a signal keeps what has come", async () => {
    const controller = new AbortController();
    const generation = generate(saying([A, C]), vocab, PROMPT, { signal: controller.signal });
    let text = "";
    for await (const piece of generation) {
      text += piece.text;
      if (text === "a cb") controller.abort();
    }
    expect(text).toBe("a cb");
    expect(generation.generated).toMatchObject({ text: "a cb", finish: "interrupted" });
    expect(await run(saying([]), { signal: AbortSignal.abort() })).toMatchObject({
      finish: "interrupted",
      tokens: [],
    });
  });
  it("breaking off closes the sequence", async () => {
    const engine = saying([]);
    const generation = generate(engine, vocab, PROMPT);
    for await (const _ of generation) break;
    expect(engine.openCount()).toBe(0);
    expect(generation.generated.finish).toBe("interrupted");
  });
});

describe("prompts", () => {
  it("are fed in pieces of 512", async () => {
    const engine = saying([END], { context: 2000 });
    await run(engine, { ends: new Set([B]) }, new Int32Array(1100).fill(A));
    expect(engine.steps.map(([tokens]) => tokens!.length)).toEqual([512, 512, 76]);
  });
  it("begin with bos where there is nothing", async () => {
    const engine = scriptedEngine(ROWS.length, () => END);
    expect(await run(engine, {}, new Int32Array())).toMatchObject({
      tokens: [END],
      prompt: Int32Array.of(0),
    });
    const without = { ...vocab, special: {} };
    const generation = generate(engine, without, new Int32Array());
    await expect(generation[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "usage",
      message: "the prompt is empty, and the model has no token that a text begins with",
    });
  });
  it("of the context's length leave room for one token", async () => {
    expect(await run(saying([], { context: 2 }))).toMatchObject({ text: "b", finish: "context" });
    const long = await refused(saying([], { context: 2 }), {}, Int32Array.of(0, A, A));
    expect(long).toBe("usage: the prompt has 3 tokens, the context 2");
  });
  it("and options out of range are refused", async () => {
    expect(await refused(saying([]), {}, Int32Array.of(0, 9))).toBe(
      "bad-input: token 9 is not in a vocabulary of 9",
    );
    expect(await refused(saying([]), { maxTokens: 0 })).toBe(
      "usage: maxTokens is 0, and must be a whole number of at least 1",
    );
    expect(await refused(saying([]), { stop: [""] })).toBe("usage: a stop string is empty");
    expect(await refused(saying([]), { temperature: -1 })).toMatch(/^usage: temperature is -1/);
    const broken = scriptedEngine(ROWS.length, () => Number.NaN);
    broken.step = async () => [new Float32Array(9).fill(Number.NaN)];
    expect(await refused(broken)).toBe("bad-input: the model gives no numbers");
    expect(broken.openCount()).toBe(0);
  });
});

describe("a sequence that is gone on with", () => {
  it.each([
    [true, [[0, A], [A], [B], [0, A, A, C].slice(3), [B]]],
    [false, [[0, A], [A], [B], [0, A, A, C], [B]]],
  ])("is fed what it does not hold (cuts: %s)", async (cuts, steps) => {
    const engine = saying([A], { cuts });
    const held = new Held(engine);
    expect((await run(engine, { held, maxTokens: 3 })).timings).toMatchObject({
      promptTokens: 2,
      reusedTokens: 0,
    });
    const { timings } = await run(engine, { held, maxTokens: 2 }, Int32Array.of(0, A, A, C));
    expect(engine.steps.map(([tokens]) => tokens)).toEqual(steps);
    expect(timings).toMatchObject(
      cuts ? { promptTokens: 1, reusedTokens: 3 } : { promptTokens: 4, reusedTokens: 0 },
    );
    expect(engine.openCount()).toBe(1);
  });
  it("is fed one token at least, for its logits", async () => {
    const engine = saying([A]);
    const held = new Held(engine);
    await run(engine, { held, maxTokens: 1 });
    await run(engine, { held, maxTokens: 1 });
    expect(engine.steps).toEqual([[[0, A]], [[A]]]);
  });
  it("starts again after a step that failed", async () => {
    const engine = saying([A]);
    const held = new Held(engine);
    await run(engine, { held, maxTokens: 2 });
    const step = engine.step;
    engine.step = () => Promise.reject(new Error("out of memory"));
    await expect(run(engine, { held })).rejects.toThrow("out of memory");
    engine.step = step;
    expect(held.ids).toEqual([]);
    expect((await run(engine, { held, maxTokens: 1 })).timings.promptTokens).toBe(2);
  });
});

it.each([true, false])("a full context forgets half of what is behind its first tokens (cuts: %s)", async (cuts) => {
  const engine = saying([A, C], { context: 6, cuts });
  const shifts: number[][] = [];
  const contextShift = { keep: 2, onShift: (...args: number[]) => void shifts.push(args) };
  const { finish, text } = await run(engine, { contextShift, maxTokens: 8 });
  expect({ finish, text }).toEqual({ finish: "length", text: "a cbbbbbb" });
  expect(shifts).toEqual([[2, 6], [2, 6]]);
  const steps = [[0, A], [A], [C], [B], [B]]; // <s> a | a c b b: full
  const again = cuts ? [B, B, B] : [0, A, B, B, B]; // a c are forgotten
  expect(engine.steps.map(([tokens]) => tokens)).toEqual([...steps, again, [B], cuts ? [B] : [0, A, B, B, B]]);
}); // biome-ignore format: steps

describe("log-probabilities and seeds", () => {
  it("come where asked for", async () => {
    const { pieces } = await run(saying([C, END]), { logprobs: 2 });
    const logprob = 9 - Math.log(Math.exp(9) + 8);
    expect(pieces[0]!.logprob).toBeCloseTo(logprob, 6);
    expect(pieces[0]!.top).toEqual([
      { token: C, text: " c", logprob: expect.closeTo(logprob, 6) },
      { token: 0, text: "<s>", logprob: expect.closeTo(logprob - 9, 6) },
    ]);
    expect((await run(saying([C, END]), { logprobs: 0 })).pieces[0]).toMatchObject({ top: [] });
    expect((await run(saying([C, END]))).pieces[0]).toEqual({ token: C, text: " c" });
  });
  it("are of the model, not of the sampler", async () => {
    const options = { logprobs: 0, maxTokens: 1 };
    const [plain, changed] = [
      await run(saying([A]), options),
      await run(saying([A]), { ...options, repeatPenalty: 1.5 }),
    ];
    expect(changed.tokens).toEqual(plain.tokens);
    expect(changed.pieces[0]!.logprob).toBe(plain.pieces[0]!.logprob);
  });
  it("one seed gives one text", async () => {
    const flat = () => scriptedEngine(ROWS.length, () => 0);
    const texts = async (seed: number) =>
      (await run(flat(), { temperature: 9, seed, ends: new Set() })).tokens;
    expect(await texts(1)).toEqual(await texts(1));
    expect(await texts(1)).not.toEqual(await texts(2));
  });
});

describe("several prompts at once", () => {
  it("give what each gives alone, as many at once as there are sequences", async () => {
    const says = (all: readonly number[]) => (all.length > 2 + all[1]! ? END : all[1]!);
    const engine = scriptedEngine(ROWS.length, says, { sequences: 2 });
    const prompts = [A, C, B, LINE].map((token) => Int32Array.of(0, token));
    const seen: number[] = [];
    const results = await generateBatch(engine, vocab, prompts, {
      ends: new Set([END]),
      onPiece: (index) => seen.push(index),
    });
    const alone = await Promise.all(
      prompts.map((prompt) => run(scriptedEngine(ROWS.length, says), {}, prompt)),
    );
    expect(results.map(({ text, finish }) => ({ text, finish }))).toEqual(
      alone.map(({ text, finish }) => ({ text, finish })),
    );
    expect(engine.steps[0]).toEqual([
      [0, A],
      [0, C],
    ]);
    expect(engine.steps.map((feeds) => feeds.length)).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1]);
    expect(seen).toContain(3);
    expect(engine.openCount()).toBe(0);
  });
  it("are numbered apart for one seed", async () => {
    const flat = scriptedEngine(ROWS.length, () => 0, { sequences: 2 });
    const [one, two] = await generateBatch(flat, vocab, [PROMPT, PROMPT], {
      temperature: 9,
      seed: 1,
      maxTokens: 20,
    });
    expect(one!.pieces.map(({ token }) => token)).not.toEqual(two!.pieces.map(({ token }) => token));
    expect(one!.seed).toBe(two!.seed);
  });
  it("stop at a signal, and close what is open when one is refused", async () => {
    const stopped = await generateBatch(saying([]), vocab, [PROMPT, PROMPT], { signal: AbortSignal.abort() });
    expect(stopped.map(({ finish }) => finish)).toEqual(["interrupted", "interrupted"]);
    const engine = saying([], { sequences: 3 });
    await expect(generateBatch(engine, vocab, [PROMPT, Int32Array.of(99)])).rejects.toThrow("token 99");
    expect(engine.openCount()).toBe(0);
  });
});

describe("samples/tiny-llama on the evaluator", { timeout: 60_000 }, () => {
  const path = new URL("../golden/generate/llama-cpp.json", import.meta.url);
  const { runs } = JSON.parse(readFileSync(path, "utf8")) as {
    runs: {
      model: string;
      type: string;
      text: string;
      prompt: number[];
      tokens: number[];
      continuation: string;
    }[];
  };
  const model = openModel(TINY_LLAMA);
  it("says what llama.cpp says", async () => {
    const { text, prompt, tokens, continuation } = runs.find((each) => each.text === "The little dog")!;
    const ids = createTokenizer(model.vocab).encode(text);
    expect([...ids]).toEqual(prompt);
    const generation = generate(await evaluatorEngine(model), model.vocab, ids, { maxTokens: 24 });
    for await (const _ of generation);
    const { pieces, text: ours } = generation.generated;
    expect(pieces.map(({ token }) => token)).toEqual(tokens.slice(0, 24));
    expect(continuation.startsWith(ours)).toBe(true);
    expect(ours.length).toBeGreaterThan(50);
  });
});
