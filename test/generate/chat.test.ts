import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { architecturesOfGguf } from "../../src/arch/index.js";
import { Chat, chatEncoder } from "../../src/generate/chat/chat.js";
import { chatTemplateOf, requireTemplate } from "../../src/generate/chat/template.js";
import { endTokens } from "../../src/generate/text/end-tokens.js";
import { renderedEncoder } from "../../src/generate/text/prompt.js";
import { readTokenizerConfig } from "../../src/tokenizer/hf/hf-config.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { TOKEN_TYPE, type Vocab } from "../../src/tokenizer/types.js";
import { refusal } from "../support/build/build.js";
import { scratchFolder } from "../support/scratch.js";
import { scriptedEngine } from "../support/stand-in-engine.js";

const folder = scratchFolder();
const { NORMAL, CONTROL, UNKNOWN, USER_DEFINED } = TOKEN_TYPE;

/** A vocabulary of single letters and these tokens. */
function vocabOf(
  special: readonly (readonly [text: string, type: number])[],
  changes: Partial<Vocab> = {},
): Vocab {
  const letters = [..."▁abcdefghijklmnopqrstuvwxyz\n"].map((text) => [text, NORMAL] as const);
  const rows = [["<unk>", UNKNOWN] as const, ["<s>", CONTROL] as const, ...special, ...letters];
  return {
    kind: "spm",
    tokens: rows.map(([text]) => text),
    types: rows.map(([, type]) => type),
    scores: new Float32Array(rows.length),
    pre: "default",
    special: { unk: 0, bos: 1 },
    addBos: true,
    addEos: false,
    addSpacePrefix: true,
    removeExtraWhitespaces: false,
    chatTemplates: new Map(),
    ...changes,
  };
}

const [llama, phi3] = ["llama", "phi3"].map((name) => architecturesOfGguf("x", name)[0]!) as [never, never];
const texts = (vocab: Vocab, ids: Iterable<number>) => [...ids].map((id) => vocab.tokens[id]!).join("|");

describe("rendered text", () => {
  const vocab = vocabOf([["<|user|>", CONTROL], ["<|end|>", CONTROL], ["<x>", USER_DEFINED]]); // biome-ignore format: one line
  const encode = (text: string, changes: Partial<Vocab> = {}, stripsBehindControl = false) => {
    const changed = { ...vocab, ...changes };
    return texts(changed, renderedEncoder(changed, createTokenizer(changed), { stripsBehindControl })(text));
  };
  it("has control tokens, and each text between them for itself", () => {
    expect(encode("<|user|>hi<x>a<|end|>")).toBe("<s>|<|user|>|▁|h|i|<x>|▁|a|<|end|>");
    expect(encode("<|user|>hi", { addSpacePrefix: false })).toBe("<s>|<|user|>|h|i");
    expect(createTokenizer(vocab).encode("<|end|>")).not.toContain(3); // a text of its own is plain
  });
  it("begins with bos once", () => {
    expect(encode("<s><|user|>a")).toBe("<s>|<|user|>|▁|a");
    expect(encode("<|user|>a", { addBos: false })).toBe("<|user|>|▁|a");
    expect(encode("<s>a", { addBos: false })).toBe("<s>|▁|a");
    expect(encode("", { addBos: false })).toBe("");
  });
  it("loses white space behind Phi-3's control tokens", () => {
    expect(encode("<|user|>\nhi<|end|>\n<s> a", {}, true)).toBe("<s>|<|user|>|▁|h|i|<|end|>|<s>|▁|▁|a");
    const template = { name: "x", source: "{{ '<|user|>\\n' + messages[0].content + '<|end|>\\n' }}" };
    const ids = (architecture: never) =>
      texts(
        vocab,
        chatEncoder(
          { vocab, architecture },
          createTokenizer(vocab),
          template,
        )([{ role: "user", content: "hi" }]),
      );
    expect(ids(phi3)).toBe("<s>|<|user|>|▁|h|i|<|end|>");
    expect(ids(llama)).toBe("<s>|<|user|>|▁|\n|h|i|<|end|>|▁|\n");
  });
});

describe("tokens that end an answer", () => {
  const ends = (special: [string, number][], changes: Partial<Vocab> = {}, folder?: string) => {
    const vocab = vocabOf(special, changes);
    return [...endTokens({ vocab, folder })].map((id) => vocab.tokens[id]).sort();
  };
  it("are those the vocabulary names and those that are known", () => {
    const special = { bos: 1, eos: 2, eot: 3, fimSep: 4 };
    const tokens: [string, number][] = [["x", CONTROL], ["y", CONTROL], ["z", CONTROL], ["<|im_end|>", CONTROL], ["<end_of_turn>", USER_DEFINED]]; // biome-ignore format: one line
    expect(ends(tokens, { special })).toEqual(["<end_of_turn>", "<|im_end|>", "x", "y", "z"]);
    expect(ends([])).toEqual([]);
  });
  it("are not what stands beside others", () => {
    expect(ends([["<|end|>", CONTROL], ["<|return|>", CONTROL], ["<|call|>", CONTROL]])).toEqual(["<|call|>", "<|return|>"]); // biome-ignore format: one line
    expect(ends([["<|end|>", CONTROL], ["<|return|>", CONTROL]])).toEqual(["<|end|>", "<|return|>"]); // biome-ignore format: one line
  });
  it("are all that generation_config.json lists", () => {
    const path = join(folder, "ends");
    mkdirSync(path);
    writeFileSync(join(path, "config.json"), '{"eos_token_id": 2}');
    writeFileSync(join(path, "generation_config.json"), '{"eos_token_id": [3, 5]}');
    const tokens: [string, number][] = ["p", "q", "r", "s"].map((text) => [text, CONTROL]);
    expect(ends(tokens, {}, path)).toEqual(["p", "q", "s"]);
  });
});

describe("templates", () => {
  const chatTemplates = new Map([["tool_use", "T"], ["default", "D"]]); // biome-ignore format: one line
  it("the default is taken, or else the first", () => {
    expect(chatTemplateOf("m", vocabOf([], { chatTemplates }))?.source).toBe("D");
    expect(chatTemplateOf("m", vocabOf([], { chatTemplates: new Map([["rag", "R"]]) }))?.source).toBe("R");
    expect(refusal(() => requireTemplate("m", chatTemplateOf("m", vocabOf([]))))).toBe(
      "usage: m has no chat template, so it may know nothing of turns",
    );
  });
  it("come from a folder's files", () => {
    const path = join(folder, "templates");
    mkdirSync(join(path, "additional_chat_templates"), { recursive: true });
    writeFileSync(join(path, "chat_template.jinja"), "J");
    expect([...readTokenizerConfig(path).chatTemplates]).toEqual([["default", "J"]]);
    writeFileSync(join(path, "additional_chat_templates", "rag.jinja"), "R");
    writeFileSync(join(path, "additional_chat_templates", "notes.txt"), "N");
    expect([...readTokenizerConfig(path).chatTemplates]).toEqual([["default", "J"], ["rag", "R"]]); // biome-ignore format: one line
  });
});

describe("a conversation", () => {
  const vocab = vocabOf([["<|user|>", CONTROL], ["<|model|>", CONTROL], ["</s>", CONTROL]], { special: { unk: 0, bos: 1, eos: 4 } }); // biome-ignore format: one line
  const model = { vocab, architecture: llama };
  const source =
    "{% for m in messages %}{% if m.content == 'z' %}{{ raise_exception('no z') }}{% endif %}{{ '<|' + ('model' if m.role == 'assistant' else m.role) + '|>' + m.content }}{% endfor %}<|model|>";
  const id = (text: string) => vocab.tokens.indexOf(text);
  /** Answers each message with `▁a b </s>`; the answers are the tokens behind the last <|model|>. */
  const answers = (tokens: readonly number[]) =>
    [id("▁"), id("a"), id("b"), 4][tokens.length - 1 - tokens.lastIndexOf(3)]!;
  const start = (system?: string, cuts = true) => {
    const engine = scriptedEngine(vocab.tokens.length, answers, { context: 40, cuts });
    const options = { ends: endTokens({ vocab, folder: undefined }) };
    const chat = new Chat(engine, model, createTokenizer(vocab), { name: "t", source }, options, system);
    return { engine, chat };
  };
  const say = async (chat: Chat, text: string, stopAfter = Number.POSITIVE_INFINITY) => {
    const controller = new AbortController();
    const generation = chat.say(text, controller.signal);
    let pieces = 0;
    for await (const _ of generation) if (++pieces === stopAfter) controller.abort();
    return generation.generated;
  };

  it("feeds only what is new", async () => {
    const { engine, chat } = start();
    const first = await say(chat, "hi");
    expect(first).toMatchObject({ text: "ab", finish: "end" });
    expect(first.timings).toMatchObject({ promptTokens: 6, reusedTokens: 0 }); // <s> <|user|> ▁ h i <|model|>
    const second = await say(chat, "c");
    expect(second.timings).toMatchObject({ promptTokens: 4, reusedTokens: 9 }); // of … ▁ a b <|user|> ▁ c <|model|>
    expect(chat.messages.map(({ content }) => content)).toEqual(["hi", "ab", "c", "ab"]);
    expect(engine.openCount()).toBe(1);
    chat.clear();
    expect((await say(chat, "hi")).timings).toMatchObject({ promptTokens: 1, reusedTokens: 5 });
    chat.close();
    expect(engine.openCount()).toBe(0);
  });
  it("feeds all of it where the sequence cannot be cut", async () => {
    const { chat } = start(undefined, false);
    await say(chat, "hi");
    expect((await say(chat, "c")).timings).toMatchObject({ promptTokens: 4, reusedTokens: 9 }); // nothing to cut
    chat.clear();
    expect((await say(chat, "hi")).timings).toMatchObject({ promptTokens: 6, reusedTokens: 0 });
  });
  it("keeps an answer that was stopped as far as it came", async () => {
    const { chat } = start();
    expect(await say(chat, "hi", 2)).toMatchObject({ text: "a", finish: "interrupted" });
    expect(chat.messages).toEqual([{ role: "user", content: "hi" }, { role: "assistant", content: "a" }]); // biome-ignore format: one line
    expect((await say(chat, "c")).timings.reusedTokens).toBe(7);
  });
  it("is as if nothing had been said when the template refuses or the context is short", async () => {
    const { chat } = start("be");
    await say(chat, "hi");
    expect(refusal(() => chat.say("z"))).toBe("bad-input: t, line 1 refuses the messages: no z");
    await expect(say(chat, "x".repeat(40))).rejects.toThrow(/the prompt has \d\d tokens, the context 40/);
    expect(chat.messages).toHaveLength(2);
    expect((await say(chat, "c")).text).toBe("ab");
  });
});
