import { createHash } from "node:crypto";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { evaluatePerplexity } from "../../../src/eval/perplexity/perplexity.js";
import { type Model, openModel } from "../../../src/model.js";
import { vocabFromTekken } from "../../../src/tokenizer/bpe/tekken.js";
import { NO_CONFIG } from "../../../src/tokenizer/hf/hf-config.js";
import { createTokenizer } from "../../../src/tokenizer/tokenizer.js";
import { refusal } from "../../support/build/build.js";
import { attack } from "../../support/damage.js";
import { convertedModel } from "../../support/families.js";
import { scratchFolder } from "../../support/scratch.js";
import { TARGETS } from "../../targets.js";

// Mistral's own folders beside what transformers, mistral-common and llama.cpp's converter make of them:
// golden/make/mistral.py.
const GOLDEN = new URL("../../golden/mistral/", import.meta.url).pathname;
const text = readFileSync(new URL("../../golden/families/text.txt", import.meta.url), "utf8");
const scratch = scratchFolder();

interface Reference {
  readonly perplexity: number;
  readonly text: readonly string[];
  readonly ids: readonly (readonly number[])[];
  readonly tensors: Readonly<Record<string, string>>;
  readonly keys: Readonly<Record<string, unknown>>;
}

const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));

async function perplexity(model: Model): Promise<number> {
  const tokens = createTokenizer(model.vocab).encode(text);
  const options = { context: 64, bos: model.vocab.special.bos, activations: "f32", threads: 0 } as const;
  return (await evaluatePerplexity(model, tokens, options)).ppl;
}

describe.each(["mistral", "mixtral", "mixtral-first", "ministral-fp8"])("%s", (name) => {
  const reference: Reference = read(join(GOLDEN, name, "reference.json"));
  const model = openModel(join(GOLDEN, name));

  test("has mistral-common's ids", () => {
    const tokenizer = createTokenizer(model.vocab);
    expect(reference.text.map((each) => [...tokenizer.encode(each, { addBos: false })])).toEqual(
      reference.ids,
    );
  });

  test("has transformers' perplexity, from the folder and from the GGUF; the GGUF has llama.cpp's tensors and keys", async () => {
    expect((await perplexity(model)) / reference.perplexity).toBeCloseTo(1, 6);
    const path = join(scratch, `${name}.gguf`);
    const converted = await convertedModel(model, path);
    expect((await perplexity(converted)) / reference.perplexity).toBeCloseTo(1, 6);
    const file = readFileSync(path);
    const hashes = [...converted.container.tensors].map(([tensor, { offset, byteLength }]) => [
      tensor,
      createHash("sha256")
        .update(file.subarray(offset, offset + byteLength))
        .digest("hex"),
    ]);
    expect(Object.fromEntries(hashes)).toEqual(reference.tensors);
    for (const [key, value] of Object.entries(reference.keys)) {
      const own = converted.metadata.get(key)?.value;
      if (typeof value === "number" && !Number.isInteger(value)) expect(own, key).toBeCloseTo(value, 6);
      else expect(own, key).toEqual(value);
    }
  });
});

test("towers of other senses are left out by name", () => {
  expect(openModel(join(GOLDEN, "ministral-fp8")).container.leftOut).toEqual([
    "vision_encoder.ln_pre.weight",
    "vision_language_adapter.w_in.weight",
  ]);
});

describe("refused", () => {
  let copies = 0;
  const changed = (params: object, name = "mistral") => {
    const folder = join(scratch, `changed-${copies++}`);
    cpSync(join(GOLDEN, name), folder, { recursive: true });
    writeFileSync(
      join(folder, "params.json"),
      JSON.stringify({ ...read(join(folder, "params.json")), ...params }),
    );
    return folder;
  };
  const answer = (folder: string) => refusal(() => openModel(folder)).replaceAll(`${folder}/`, "");

  test.each<[string, object]>([
    ["latent attention", { q_lora_rank: 8 }],
    ["a state space model", { model_type: "mamba" }],
    [
      "a mixture with experts for all tokens",
      { moe: { num_experts: 2, num_experts_per_tok: 1, num_shared_experts: 1 } },
    ],
    ["attention with windows in some layers", { sliding_window: [null, 32] }],
    ["a model that hears", { multimodal: { whisper_model_args: {} } }],
    [
      "llama_4_scaling without yarn",
      { llama_4_scaling: { beta: 0.1, original_max_position_embeddings: 32 } },
    ],
    ['quantization "fp4"', { quantization: { qformat_weight: "fp4" } }],
  ])("%s", (what, params) => {
    expect(answer(changed(params))).toBe(
      `unsupported: params.json: ${what} in Meta's or Mistral's own format`,
    );
  });

  test("one of its files that is missing", () => {
    const folder = changed({}, "mixtral");
    rmSync(join(folder, "consolidated-00002-of-00002.safetensors"));
    expect(answer(folder)).toBe(
      "bad-input: consolidated-00001-of-00002.safetensors: file 1 of the model is missing",
    );
  });

  test("experts of another number or shape", () => {
    expect(answer(changed({ moe: { num_experts: 5, num_experts_per_tok: 2 } }, "mixtral"))).toMatch(
      /^bad-input: tensor layers\.0\.feed_forward\.gate\.weight is 4 x 32; params\.json asks for 5 x 32/,
    );
    expect(answer(changed({ moe: { num_experts: 5, num_experts_per_tok: 2 } }, "mixtral-first"))).toMatch(
      /^bad-input: tensor layers\.\d\.block_sparse_moe\.w\d is 192 x 32, no matrices of 5 experts$/,
    );
    expect(answer(changed({ hidden_dim: 64 }, "mixtral"))).toMatch(
      /w1\.weight is BF16 48 x 32; params\.json asks for 64 x 32, one type for all experts$/,
    );
  });
});

describe("tekken.json", () => {
  const json = read(join(GOLDEN, "mistral", "tekken.json"));
  const refused = (change: object) => refusal(() => vocabFromTekken("t", { ...json, ...change }, NO_CONFIG));
  const { config, vocab } = json;

  test("lists more tokens than are used, and names control tokens as it likes", () => {
    expect(vocab.length).toBe(410);
    const special = [
      { rank: 0, token_str: "<unk>", is_control: true },
      { rank: 1, token_str: "<s>" },
      { rank: 2, token_str: "[X]" },
    ];
    const {
      tokens,
      types,
      special: roles,
    } = vocabFromTekken("t", { ...json, special_tokens: special }, NO_CONFIG);
    expect(tokens).toHaveLength(400);
    expect(tokens.slice(0, 4)).toEqual(["<unk>", "<s>", "[X]", "<SPECIAL_3>"]);
    expect(types.slice(39, 41)).toEqual([3, 1]);
    expect(roles).toEqual({ unk: 0, bos: 1 });
  });

  test.each<[string, object, string]>([
    [
      "other tokens first",
      { vocab: vocab.toReversed() },
      "bad-input: t: vocab[0] is not the token of rank 0",
    ],
    ["too few", { vocab: vocab.slice(0, 300) }, "bad-input: t: 300 tokens; 360 are used"],
    [
      "a token twice",
      { vocab: vocab.with(256, { ...vocab[257], rank: 256 }) },
      "bad-input: t: a token is there twice",
    ],
    [
      "no base64",
      { vocab: vocab.with(3, { rank: 3, token_bytes: "A!" }) },
      "bad-input: t: vocab[3] is not the token of rank 3",
    ],
    [
      "another splitting",
      { config: { ...config, pattern: "\\s+|\\S+" } },
      "unsupported: t: unknown pre-tokenizer, which splits by \\s+|\\S+",
    ],
    [
      "more control tokens than tokens",
      { config: { ...config, default_num_special_tokens: 500 } },
      "bad-input: t: 500 special tokens among 400",
    ],
    [
      "special tokens out of order",
      { special_tokens: [{ rank: 1, token_str: "a" }] },
      "bad-input: t: special token 0 has the rank 1 of 40",
    ],
    ["no list", { vocab: 5 }, "bad-input: t: vocab: Invalid type: Expected Array but received 5"],
  ])("is refused with %s", (_, change, message) => {
    expect(refused(change)).toBe(message);
  });
});

test.each(TARGETS.filter(({ name }) => name === "tekken.json"))("2000 damaged files: $name", (target) => {
  const { accepted, refused } = attack(target, 2000, 1);
  expect(accepted).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
});
