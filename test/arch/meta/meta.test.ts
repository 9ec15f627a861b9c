import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { llama } from "../../../src/arch/families/llama.js";
import { configOf, parseParams } from "../../../src/arch/meta/meta-params.js";
import { openModel } from "../../../src/model.js";
import { buildSafetensors, refusal } from "../../support/build/build.js";
import { buildTorch, P, tensorPickle } from "../../support/build/build-torch.js";
import { attack } from "../../support/damage.js";
import { scratchFolder } from "../../support/scratch.js";
import { TARGETS } from "../../targets.js";

const root = scratchFolder();
const TOKENIZER = new URL("../../golden/checkpoints/tokenizer.model", import.meta.url).pathname;

// By the files that Meta published with the models; the lengths of LLaMA and Llama 2 are also in their papers.
// biome-ignore format: rows
const RELEASES: readonly [model: string, params: object, ffn: number, context: number, factor?: number][] = [
  ["LLaMA-7B",      { dim: 4096, multiple_of: 256, n_heads: 32, n_layers: 32, norm_eps: 1e-6, vocab_size: -1 }, 11008, 2048],
  ["LLaMA-13B",     { dim: 5120, multiple_of: 256, n_heads: 40, n_layers: 40, norm_eps: 1e-6, vocab_size: -1 }, 13824, 2048],
  ["LLaMA-33B",     { dim: 6656, multiple_of: 256, n_heads: 52, n_layers: 60, norm_eps: 1e-6, vocab_size: -1 }, 17920, 2048],
  ["LLaMA-65B",     { dim: 8192, multiple_of: 256, n_heads: 64, n_layers: 80, norm_eps: 1e-5, vocab_size: -1 }, 22016, 2048],
  ["Llama-2-7B",    { dim: 4096, multiple_of: 256, n_heads: 32, n_layers: 32, norm_eps: 1e-5, vocab_size: -1 }, 11008, 4096],
  ["Llama-2-13B",   { dim: 5120, multiple_of: 256, n_heads: 40, n_layers: 40, norm_eps: 1e-5, vocab_size: -1 }, 13824, 4096],
  ["Llama-2-70B",   { dim: 8192, multiple_of: 4096, ffn_dim_multiplier: 1.3, n_heads: 64, n_kv_heads: 8, n_layers: 80, norm_eps: 1e-5, vocab_size: -1 }, 28672, 4096],
  ["Code Llama 7B", { dim: 4096, multiple_of: 256, ffn_dim_multiplier: 1, n_heads: 32, n_layers: 32, norm_eps: 1e-5, rope_theta: 1000000 }, 11008, 16384],
  ["Llama-3-8B",    { dim: 4096, multiple_of: 1024, ffn_dim_multiplier: 1.3, n_heads: 32, n_kv_heads: 8, n_layers: 32, norm_eps: 1e-5, rope_theta: 500000, vocab_size: 128256 }, 14336, 8192],
  ["Llama-3-70B",   { dim: 8192, multiple_of: 4096, ffn_dim_multiplier: 1.3, n_heads: 64, n_kv_heads: 8, n_layers: 80, norm_eps: 1e-5, rope_theta: 500000, vocab_size: 128256 }, 28672, 8192],
  ["Llama-3.1-8B",  { dim: 4096, multiple_of: 1024, ffn_dim_multiplier: 1.3, n_heads: 32, n_kv_heads: 8, n_layers: 32, norm_eps: 1e-5, rope_theta: 500000, use_scaled_rope: true, vocab_size: 128256 }, 14336, 131072, 8],
  ["Llama-3.1-405B", { dim: 16384, multiple_of: 4096, ffn_dim_multiplier: 1.2, n_heads: 128, n_kv_heads: 8, n_layers: 126, norm_eps: 1e-5, rope_theta: 500000, use_scaled_rope: true, vocab_size: 128256 }, 53248, 131072, 8],
  ["Llama-3.2-1B",  { dim: 2048, multiple_of: 256, ffn_dim_multiplier: 1.5, n_heads: 32, n_kv_heads: 8, n_layers: 16, norm_eps: 1e-5, rope_theta: 500000, use_scaled_rope: true, vocab_size: 128256 }, 8192, 131072, 32],
  ["Llama-3.2-3B",  { dim: 3072, multiple_of: 256, ffn_dim_multiplier: 1, n_heads: 24, n_kv_heads: 8, n_layers: 28, norm_eps: 1e-5, rope_theta: 500000, use_scaled_rope: true, vocab_size: 128256 }, 8192, 131072, 32],
];

describe("params.json", () => {
  test.each(RELEASES)("of %s", (_, params, ffn, context, factor) => {
    const config = configOf("params.json", parseParams("params.json", params), { vocab: 32000, ffn: 1 });
    expect(config).toMatchObject({
      intermediate_size: ffn,
      max_position_embeddings: context,
      vocab_size: (params as { vocab_size?: number }).vocab_size === 128256 ? 128256 : 32000,
    });
    expect((config["rope_scaling"] as { factor: number } | undefined)?.factor).toBe(factor);
  });

  test("of Mistral's own, and of releases that put a model around it", () => {
    const params = {
      dim: 4096,
      n_layers: 32,
      head_dim: 128,
      hidden_dim: 14336,
      n_heads: 32,
      n_kv_heads: 8,
      norm_eps: 1e-5,
      vocab_size: 32768,
      rope_theta: 1000000,
    };
    for (const json of [params, { model: params }]) {
      expect(configOf("p", parseParams("p", json), { vocab: 1, ffn: 1 })).toMatchObject({
        head_dim: 128,
        intermediate_size: 14336,
        max_position_embeddings: 32768,
        vocab_size: 32768,
      });
    }
  });
});

interface Shapes {
  readonly [name: string]: readonly number[];
}

const PARAMS = {
  dim: 16,
  n_layers: 1,
  n_heads: 4,
  n_kv_heads: 2,
  norm_eps: 1e-5,
  multiple_of: 16,
  vocab_size: -1,
};

const WHOLE: Shapes = {
  "tok_embeddings.weight": [96, 16],
  "layers.0.attention_norm.weight": [16],
  "layers.0.attention.wq.weight": [16, 16],
  "layers.0.attention.wk.weight": [8, 16],
  "layers.0.attention.wv.weight": [8, 16],
  "layers.0.attention.wo.weight": [16, 16],
  "layers.0.ffn_norm.weight": [16],
  "layers.0.feed_forward.w1.weight": [48, 16],
  "layers.0.feed_forward.w2.weight": [16, 48],
  "layers.0.feed_forward.w3.weight": [48, 16],
  "norm.weight": [16],
  "output.weight": [96, 16],
};

/** A file of torch.save with tensors of these shapes, all zero. */
function shard(shapes: Shapes, wrap = (state: string) => state): Uint8Array {
  const entries = Object.entries(shapes);
  const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const state = P.dictOf(
    ...entries.map(([name, shape], i): [string, string] => {
      const stride = shape.map((_, axis) => size(shape.slice(axis + 1)));
      return [name, tensorPickle({ key: String(i), length: size(shape), size: shape, stride })];
    }),
  );
  const storages = entries.map(([, shape], i) => [String(i), new Uint8Array(size(shape) * 4)]);
  return buildTorch(wrap(state), Object.fromEntries(storages));
}

function release(files: Readonly<Record<string, Uint8Array | object | string>>): string {
  const folder = mkdtempSync(join(root, "release-"));
  cpSync(TOKENIZER, join(folder, "tokenizer.model"));
  for (const [name, content] of Object.entries(files)) {
    const data =
      typeof content === "string" || content instanceof Uint8Array ? content : JSON.stringify(content);
    writeFileSync(join(folder, name), data);
  }
  return folder;
}

/** How each tensor is made of the shards' parts. */
function parts(folder: string): Record<string, string> {
  return Object.fromEntries(
    openModel(folder).tensors.map(({ name, joined, sources, shape }) => [
      name,
      `${shape.join("x")} = ${joined} of ${sources.map(({ file }) => file).join()}`,
    ]),
  );
}

describe("a release", () => {
  test("in one file, in two cut as LLaMA 1 and 2 are, in two cut as Llama 3 is", () => {
    const halves = (embedding: readonly number[]): Shapes => ({
      ...WHOLE,
      "tok_embeddings.weight": embedding,
      "layers.0.attention.wq.weight": [8, 16],
      "layers.0.attention.wk.weight": [4, 16],
      "layers.0.attention.wv.weight": [4, 16],
      "layers.0.attention.wo.weight": [16, 8],
      "layers.0.feed_forward.w1.weight": [24, 16],
      "layers.0.feed_forward.w2.weight": [16, 24],
      "layers.0.feed_forward.w3.weight": [24, 16],
      "output.weight": [48, 16],
      "rope.freqs": [2],
    });
    const two = (embedding: readonly number[]) =>
      parts(
        release({
          "params.json": PARAMS,
          "consolidated.00.pth": shard(halves(embedding)),
          "consolidated.01.pth": shard(halves(embedding)),
        }),
      );
    const expected = {
      "token_embd.weight": "96x16 = columns of 0,1",
      "blk.0.attn_norm.weight": "16 = rows of 0",
      "blk.0.attn_q.weight": "16x16 = rows of 0,1",
      "blk.0.attn_k.weight": "8x16 = rows of 0,1",
      "blk.0.attn_v.weight": "8x16 = rows of 0,1",
      "blk.0.attn_output.weight": "16x16 = columns of 0,1",
      "blk.0.ffn_norm.weight": "16 = rows of 0",
      "blk.0.ffn_gate.weight": "48x16 = rows of 0,1",
      "blk.0.ffn_down.weight": "16x48 = columns of 0,1",
      "blk.0.ffn_up.weight": "48x16 = rows of 0,1",
      "output_norm.weight": "16 = rows of 0",
      "output.weight": "96x16 = rows of 0,1",
    };
    expect(two([96, 8])).toEqual(expected);
    expect(two([48, 16])).toEqual({ ...expected, "token_embd.weight": "96x16 = rows of 0,1" });
    const one = parts(release({ "params.json": PARAMS, "consolidated.00.pth": shard(WHOLE) }));
    expect(Object.values(one).every((made) => made.endsWith(" = rows of 0"))).toBe(true);
  });

  test("in more files than there are key and value heads has each of these several times", () => {
    const quarters = shard({
      ...WHOLE,
      "tok_embeddings.weight": [24, 16],
      "layers.0.attention.wq.weight": [4, 16],
      "layers.0.attention.wk.weight": [4, 16],
      "layers.0.attention.wv.weight": [4, 16],
      "layers.0.attention.wo.weight": [16, 4],
      "layers.0.feed_forward.w1.weight": [12, 16],
      "layers.0.feed_forward.w2.weight": [16, 12],
      "layers.0.feed_forward.w3.weight": [12, 16],
      "output.weight": [24, 16],
    });
    const names = [0, 1, 2, 3].map((i) => [`consolidated.0${i}.pth`, quarters]);
    const made = parts(release({ "params.json": PARAMS, ...Object.fromEntries(names) }));
    expect(made["blk.0.attn_k.weight"]).toBe("8x16 = rows of 0,2");
    expect(made["blk.0.attn_v.weight"]).toBe("8x16 = rows of 0,2");
    expect(made["blk.0.attn_q.weight"]).toBe("16x16 = rows of 0,1,2,3");
  });

  test("may be one safetensors file, as Mistral's are", () => {
    let at = 0;
    const header = Object.entries(WHOLE).map(([name, shape]) => {
      const begin = at;
      at += shape.reduce((a, b) => a * b, 4);
      return [name, { dtype: "F32", shape, data_offsets: [begin, at] }];
    });
    const weights = buildSafetensors(Object.fromEntries(header), at);
    const folder = release({ "params.json": PARAMS, "consolidated.safetensors": weights });
    expect(openModel(folder).container.format).toBe("safetensors");
    expect(parts(folder)).toEqual(
      parts(release({ "params.json": PARAMS, "consolidated.00.pth": shard(WHOLE) })),
    );
  });

  test("is the same when one of its files is named, and with the tokenizer above its folder", () => {
    const folder = release({ "params.json": PARAMS, "consolidated.00.pth": shard(WHOLE) });
    const inner = join(folder, "llama-2-7b");
    mkdirSync(inner);
    for (const name of ["params.json", "consolidated.00.pth"]) cpSync(join(folder, name), join(inner, name));
    const expected = parts(folder);
    expect(parts(join(folder, "consolidated.00.pth"))).toEqual(expected);
    expect(parts(inner)).toEqual(expected);
    rmSync(join(folder, "tokenizer.model"));
    expect(refusal(() => openModel(inner))).toMatch(/^bad-input: .*: no tokenizer here/);
  });

  // research: Meta's apply_scaling, and 32 for 3.2 as its Hugging Face form says
  test.each([
    ["3.1", { dim: 4096, n_heads: 32 }, 29, [1.207484, 1.553415, 2.026313, 2.69453, 3.684253, 5.257327], 8],
    ["3.2 1B", { dim: 2048, n_heads: 32 }, 15, [1.651329, 3.292263, 9.666731], 32],
    [
      "3.2 3B",
      { dim: 3072, n_heads: 24 },
      29,
      [1.234937, 1.651329, 2.276659, 3.292263, 5.171597, 9.666731],
      32,
    ],
  ])("of Llama %s has RoPE's divisors as a tensor", (_, size, first, between, factor) => {
    const params = {
      ...size,
      n_layers: 1,
      n_kv_heads: 8,
      rope_theta: 500000,
      use_scaled_rope: true,
      multiple_of: 256,
    };
    const width = size.dim / size.n_heads;
    const config = configOf("p", parseParams("p", params), { vocab: 96, ffn: 1 });
    const model = llama.read("p", config);
    const divisors = model.computed!.get("rope_freqs.weight")!;
    expect(divisors).toHaveLength(width / 2);
    expect(divisors.slice(0, first).every((divisor) => divisor === 1)).toBe(true);
    for (const [i, divisor] of between.entries()) expect(divisors[first + i]).toBeCloseTo(divisor, 5);
    expect(divisors.slice(first + between.length).every((divisor) => divisor === factor)).toBe(true);
  });
});

describe("a training checkpoint", () => {
  const args = P.dictOf(
    ...Object.entries(PARAMS).map(([key, value]): [string, string] => [
      key,
      Number.isInteger(value) ? P.int(value) : P.float(value),
    ]),
    ["max_seq_len", P.int(256)],
  );
  const checkpoint = (shapes: Shapes, ...more: [string, string][]) =>
    shard(shapes, (state) =>
      P.dictOf(
        ["optimizer", P.dictOf(["lr", P.float(0.1)])],
        ["model", state],
        ["model_args", args],
        ...more,
      ),
    );

  test("is a model, with its context; other tensors in it do not matter", () => {
    const folder = release({
      "ckpt.pt": checkpoint(WHOLE, [
        "ema",
        P.dictOf(["x", tensorPickle({ key: "1", length: 16, size: [16] })]),
      ]),
    });
    const model = openModel(join(folder, "ckpt.pt"));
    expect(model.tensors).toHaveLength(12);
    expect(model.hparams.contextLength).toBe(256);
  });

  test("may have been compiled", () => {
    const shapes = Object.fromEntries(
      Object.entries(WHOLE).map(([name, shape]) => [`_orig_mod.${name}`, shape]),
    );
    expect(parts(join(release({ "ckpt.pt": checkpoint(shapes) }), "ckpt.pt"))["output_norm.weight"]).toBe(
      "16 = rows of 0",
    );
  });

  test("may have its output and its embedding in one storage: then GGUF has no output", () => {
    const { "output.weight": output, ...others } = WHOLE;
    const tied = shard(others, (state) =>
      P.dictOf(
        [
          "model",
          `${state}(${P.text("output.weight")}${tensorPickle({ key: "0", length: 96 * 16, size: output!, stride: [16, 1] })}u`,
        ],
        ["model_args", args],
      ),
    );
    expect(Object.keys(parts(join(release({ "ckpt.pt": tied }), "ckpt.pt")))).not.toContain("output.weight");
  });
});

const without = (name: string): Shapes =>
  Object.fromEntries(Object.entries(WHOLE).filter(([each]) => each !== name));

describe("refusals", () => {
  const whole = shard(WHOLE);
  const PTH = "consolidated.00.pth";
  // biome-ignore format: one a line
  test.each<[what: string, files: Record<string, Uint8Array | object | string>, message: string]>([
    ["no params.json", { [PTH]: whole }, "bad-input: params.json: no such file"],
    ["params.json that is not JSON", { [PTH]: whole, "params.json": "{" }, "bad-input: params.json: not valid JSON: "],
    ["params.json that is a list", { [PTH]: whole, "params.json": [] }, "bad-input: params.json: "],
    ["params.json of 2 MB", { [PTH]: whole, "params.json": " ".repeat(2 << 20) }, "bad-input: params.json: 2097152 bytes; a file of this kind has at most 1048576"],
    ["no dim", { [PTH]: whole, "params.json": { ...PARAMS, dim: undefined } }, "bad-input: params.json: dim: "],
    ["a dim of 0", { [PTH]: whole, "params.json": { ...PARAMS, dim: 0 } }, "bad-input: params.json: dim: "],
    ["a dim that is text", { [PTH]: whole, "params.json": { ...PARAMS, dim: "16" } }, "bad-input: params.json: dim: "],
    ["a fraction of a layer", { [PTH]: whole, "params.json": { ...PARAMS, n_layers: 1.5 } }, "bad-input: params.json: n_layers: "],
    ["2^40 layers", { [PTH]: whole, "params.json": { ...PARAMS, n_layers: 2 ** 40 } }, "bad-input: params.json: n_layers: "],
    ["2^31-1 layers", { [PTH]: whole, "params.json": { ...PARAMS, n_layers: 2 ** 31 - 1 } }, "bad-input: "],
    ["a layer too many", { [PTH]: whole, "params.json": { ...PARAMS, n_layers: 2 } }, `bad-input: ${PTH}: 9 tensors are missing: layers.1.attention_norm.weight, `],
    ["another vocabulary", { [PTH]: whole, "params.json": { ...PARAMS, vocab_size: 97 } }, "bad-input: "],
    ["a vocabulary of -2", { [PTH]: whole, "params.json": { ...PARAMS, vocab_size: -2 } }, "bad-input: params.json: vocab_size: "],
    ["no norm's epsilon but 0", { [PTH]: whole, "params.json": { ...PARAMS, norm_eps: 0 } }, "bad-input: params.json: norm_eps: "],
    ["heads that do not divide the width", { [PTH]: whole, "params.json": { ...PARAMS, n_heads: 3 } }, "bad-input: "],
    ["heads of 2^30 dimensions", { [PTH]: whole, "params.json": { ...PARAMS, head_dim: 2 ** 30, use_scaled_rope: true } }, "bad-input: config.json: heads of 1073741824 dimensions"],
    ["2^30 heads", { [PTH]: whole, "params.json": { ...PARAMS, n_heads: 2 ** 30, n_kv_heads: 2 ** 30, head_dim: 2 } }, "bad-input: params.json: 1073741824 heads, more than any model has"],
    ["heads that cannot share", { [PTH]: whole, "params.json": { ...PARAMS, n_kv_heads: 3 } }, "bad-input: "],
    ["other heads", { [PTH]: whole, "params.json": { ...PARAMS, n_kv_heads: 4 } }, "bad-input: tensor layers.0.attention.wk.weight is 8 x 16; params.json asks for 16 x 16"],
    ["another feed-forward", { [PTH]: whole, "params.json": { ...PARAMS, multiple_of: 32 } }, "bad-input: tensor layers.0.feed_forward.w1.weight is 48 x 16; params.json asks for 64 x 16"],
    ["a multiple of 0", { [PTH]: whole, "params.json": { ...PARAMS, multiple_of: 0 } }, "bad-input: params.json: multiple_of: "],
    ["a multiplier of 1e300", { [PTH]: whole, "params.json": { ...PARAMS, ffn_dim_multiplier: 1e300 } }, "bad-input: params.json: intermediate_size: "],
    ["experts", { [PTH]: whole, "params.json": { ...PARAMS, num_experts: 8 } }, "unsupported: params.json: a mixture with experts for all tokens in Meta's or Mistral's own format"],
    ["no embedding", { [PTH]: shard(without("tok_embeddings.weight")), "params.json": PARAMS }, `bad-input: ${PTH}: has no tok_embeddings.weight`],
    ["a missing tensor", { [PTH]: shard(without("norm.weight")), "params.json": PARAMS }, `bad-input: ${PTH}: 1 tensors are missing: norm.weight`],
    ["a tensor of another layer", { [PTH]: shard({ ...WHOLE, "layers.1.ffn_norm.weight": [16] }), "params.json": PARAMS }, `bad-input: ${PTH}: 1 tensors are no part of llama: layers.1.ffn_norm.weight`],
    ["a tensor of another model", { [PTH]: shard({ ...WHOLE, "vision.weight": [16] }), "params.json": PARAMS }, `bad-input: ${PTH}: 1 tensors are no part of llama: vision.weight`],
    ["a vector that is a matrix", { [PTH]: shard({ ...WHOLE, "norm.weight": [4, 4] }), "params.json": PARAMS }, "bad-input: tensor norm.weight is 4 x 4; params.json asks for 16"],
    ["a second file that is missing", { [PTH]: whole, "consolidated.02.pth": whole, "params.json": PARAMS }, "bad-input: consolidated.02.pth: file 1 of the model is missing"],
    ["a first file that is missing", { "consolidated.01.pth": whole, "params.json": PARAMS }, "bad-input: consolidated.01.pth: file 0 of the model is missing"],
    ["a file too many", { [PTH]: whole, "consolidated.01.pth": shard({ ...WHOLE, "output.weight": [48, 16] }), "params.json": PARAMS }, "bad-input: tensor output.weight is F32 96 x 16 and F32 48 x 16 in files of one model"],
    ["files that do not add up", { [PTH]: shard({ ...WHOLE, "output.weight": [40, 16] }), "consolidated.01.pth": shard({ ...WHOLE, "output.weight": [40, 16] }), "params.json": PARAMS }, "bad-input: tensor output.weight is 2 times 40 x 16; params.json asks for 192 x 16"],
    ["a file without a tensor that others have", { [PTH]: whole, "consolidated.01.pth": shard(without("norm.weight")), "params.json": PARAMS }, `bad-input: ${PTH}: 1 tensors are missing: norm.weight`],
    ["a file that is a web page", { [PTH]: "<html>", "params.json": PARAMS }, `bad-input: ${PTH}: a web page`],
    ["a file of another kind", { [PTH]: "hello", "params.json": PARAMS }, `bad-input: ${PTH}: neither GGUF, safetensors`],
    ["a file that asks for os.system", { [PTH]: buildTorch(P.dictOf(["tok_embeddings.weight", P.call("os", "system", P.text("true"))])), "params.json": PARAMS }, `bad-input: ${PTH}: byte 94: the pickle asks for "os.system"`],
    ["a tensor of integers", { [PTH]: buildTorch(P.dictOf(["tok_embeddings.weight", tensorPickle({ storage: "LongStorage", length: 1, size: [1] })])), "params.json": PARAMS }, `bad-input: ${PTH}: has no tok_embeddings.weight`],
  ])("%s", (_, files, message) => {
    const folder = release(files);
    const answer = refusal(() => openModel(folder)).replaceAll(`${folder}/`, "");
    expect(answer.slice(0, message.length)).toBe(message);
  });

  test("a checkpoint with two models that are none of the usual ones", () => {
    const shapes = { "a.tok_embeddings.weight": [96, 16], "b.tok_embeddings.weight": [96, 16] };
    const folder = release({ "params.json": PARAMS, "consolidated.00.pth": shard(shapes) });
    expect(refusal(() => openModel(folder))).toMatch(/has 2 tensors called tok_embeddings.weight$/);
  });
});

test.each(TARGETS.filter(({ name }) => name === "params.json"))(
  "20000 damaged files: $name",
  (target) => {
    const { accepted, refused } = attack(target, 20_000, 1);
    expect(accepted).toBeGreaterThan(1000);
    expect(refused).toBeGreaterThan(1000);
  },
  60_000,
);
