import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { evaluateChoice } from "../../../src/eval/choice/choice.js";
import { readQuestions } from "../../../src/eval/choice/questions.js";
import { compareModels } from "../../../src/eval/compare/compare-models.js";
import { evaluatePerplexity } from "../../../src/eval/perplexity/perplexity.js";
import { compileKernels, Kernels } from "../../../src/kernels/kernels.js";
import { readModule } from "../../../src/kernels/modules.js";
import { pairVectors, untriedFused } from "../../../src/kernels/products.js";
import { openModel } from "../../../src/model.js";
import {
  areRight,
  chooseFused,
  type FusedTrial,
  fusedTrial,
  rightOf,
} from "../../../src/net/products/fused.js";
import { createTokenizer } from "../../../src/tokenizer/tokenizer.js";
import { GOLDEN_FAMILIES } from "../../support/families.js";
import { logitsOf } from "../../support/logits.js";
import { Random } from "../../support/random.js";
import { TINY_LLAMA } from "../../support/scratch.js";

// Products whose last bits are the engine's own: whether they are used, what of them is the same all the same, and that they say
// what transformers says, within the bounds that exact products are held to.

pairVectors("evaluation", "fused");
const compiled = compileKernels();
const fused = chooseFused();

test("this engine has some that are right, as wide as it can", () => {
  expect(fused).toBeDefined();
  expect(fused).toEqual(untriedFused());
});

describe("a module is right", () => {
  const exact = (["whole", "noise"] as const).map((kind) => fusedTrial(new Kernels(compiled), kind));

  /** What exact products give but for one of them, in one round. */
  function spoilt(at: number, by: number, round = 0): FusedTrial[] {
    return exact.map(({ expected, bounds, run, result }, trial) => {
      run();
      const right = result().slice();
      const wrong = right.slice();
      wrong[at]! += trial === 1 ? by : 0;
      let rounds = 0;
      const own = () => (rounds === round + 1 ? wrong : right);
      return { expected, bounds, run: () => void rounds++, result: own };
    });
  }

  test("when it rounds twice, as the kernels do", () => {
    expect(areRight(exact)).toBe(true);
    expect(areRight(spoilt(7, 0))).toBe(true);
  });

  test("but not when one product is beyond its bound", () => {
    const bound = exact[1]!.bounds[11]!;
    expect(bound).toBeLessThan(1e-2);
    for (const by of [2 * bound, -2 * bound, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(areRight(spoilt(11, by))).toBe(false);
    }
  });

  test("nor when sums of whole numbers are not exact", () => {
    expect(exact[0]!.bounds.every((bound) => bound === 0)).toBe(true);
    const whole = exact[0]!;
    whole.run();
    const off = whole.result().map((y) => y + 1);
    expect(areRight([{ ...whole, run: () => {}, result: () => off }])).toBe(false);
  });

  test("nor when a wide tile and a narrow one differ, or two runs", () => {
    const last = exact[1]!.expected.length - 1;
    expect(areRight(spoilt(last, 1e-5))).toBe(false);
    expect(areRight(spoilt(last, 1e-5, 23))).toBe(false);
  });
});

test("no module is taken in which one of the multiply-adds subtracts", () => {
  const bytes = readModule("fused")!;
  const taken = (patched: Uint8Array<ArrayBuffer>) =>
    rightOf({ module: new WebAssembly.Module(patched), bits: 256 }) !== undefined;
  expect(taken(bytes)).toBe(true);
  // f32x4.relaxed_madd and relaxed_nmadd
  const [madd, nmadd] = [Buffer.of(0xfd, 0x85, 0x02), Buffer.of(0xfd, 0x86, 0x02)];
  let found = 0;
  for (let at = bytes.indexOf(0xfd); at >= 0; at = bytes.indexOf(0xfd, at + 1)) {
    if (madd.compare(bytes, at, at + 3) !== 0) continue;
    found++;
    const patched = bytes.slice();
    patched.set(nmadd, at);
    expect(taken(patched), `at ${at}`).toBe(false);
  }
  expect(found).toBeGreaterThanOrEqual(8 + 3 * 16); // of the narrow tile, of the wide one
});

const roundUp = (n: number, multiple: number) => Math.ceil(n / multiple) * multiple;

test("an output has the same bits whatever is computed beside it", () => {
  const [tokens, rows, k] = [9, 40, 700];
  const random = new Random(5);
  const [xs, ws] = [random.floats(tokens * k), random.floats(rows * k)];
  const kernels = new Kernels(compiled, undefined, undefined, fused);
  const product = (from: [token: number, row: number], count: [tokens: number, rows: number]) => {
    const mark = kernels.mark();
    const [x, w] = [kernels.reserve(tokens * k * 4), kernels.reserve(rows * k * 4)];
    kernels.floats(x, tokens * k).set(xs);
    kernels.floats(w, rows * k).set(ws);
    const stride = roundUp(count[1], 8);
    const packedX = kernels.reserve(roundUp(count[0], 4) * k * 4);
    const packedW = kernels.reserve(stride * k * 4);
    const y = kernels.reserve(roundUp(count[0], 4) * stride * 4);
    kernels.call("pack_blocks4")(x + from[0] * k * 4, k * 4, count[0], k, packedX);
    kernels.call("pack_panels8")(w + from[1] * k * 4, k * 4, count[1], k, packedW);
    kernels.call("matmul_f32")(packedX, packedW, y, ...count, k);
    const found = kernels.floats(y, count[0] * stride).slice();
    kernels.reset(mark);
    return (token: number, row: number) => found[(token - from[0]) * stride + row - from[1]]!;
  };
  const whole = product([0, 0], [tokens, rows]);
  for (const [token, row, ...count] of [
    [0, 0, 1, 8],
    [3, 5, 6, 17],
    [8, 16, 1, 24],
    [2, 39, 4, 1],
  ] as const) {
    const some = product([token, row], [...count]);
    for (let t = token; t < token + count[0]; t++) {
      for (let r = row; r < row + count[1]; r++) expect(some(t, r)).toBe(whole(t, r));
    }
  }
});

interface Reference {
  readonly tokens: readonly number[];
  readonly positions: number;
  readonly context: number;
  readonly perplexity: number;
}

describe.each(["llama", "gemma3", "qwen3-moe", "deepseek-v2-lite", "falcon-mamba", "qwen3.5"])(
  "%s",
  (family) => {
    const folder = join(GOLDEN_FAMILIES, family);
    const reference: Reference = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8"));
    const tokens = Int32Array.from(reference.tokens);

    test("says what transformers says", async () => {
      const model = openModel(folder);
      const logits = await logitsOf(model, tokens.subarray(0, reference.positions), "f32", true);
      const bytes = gunzipSync(readFileSync(join(folder, "logits.f32.gz")));
      const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      const range = Math.max(...expected) - Math.min(...expected);
      const differences = expected.map((value, i) => Math.abs(value - logits[i]!));
      expect(Math.max(...differences) / range).toBeLessThanOrEqual(2e-4);
      const bos = model.vocab.addBos ? model.vocab.special.bos : undefined;
      const options = {
        context: reference.context,
        bos,
        activations: "f32",
        fast: true,
        threads: 0,
      } as const;
      const { ppl } = await evaluatePerplexity(model, tokens, options);
      expect(Math.abs(ppl / reference.perplexity - 1)).toBeLessThanOrEqual(1e-5);
    });
  },
);

describe("samples/tiny-llama", () => {
  const model = openModel(TINY_LLAMA);
  const TEXT = new URL("../../../samples/text.txt", import.meta.url);
  const text = createTokenizer(model.vocab).encode(readFileSync(TEXT, "utf8"));
  const evaluate = async (threads: number, chunks: number, fast?: boolean) =>
    (await evaluatePerplexity(model, text, { bos: 1, context: 256, chunks, threads, fast })).ppl;

  test("has the same bits with every number of threads, and others than without", async () => {
    for (const chunks of [1, 3]) {
      const alone = await evaluate(0, chunks, true);
      for (const threads of [1, 2, 3]) expect(await evaluate(threads, chunks, true)).toBe(alone);
      const exact = await evaluate(0, chunks);
      expect(await evaluate(2, chunks, false)).toBe(exact);
      expect(alone).not.toBe(exact);
      expect(Math.abs(alone / exact - 1)).toBeLessThan(1e-6);
    }
  });

  test("compares and answers by the same products", async () => {
    const options = { bos: 1, context: 256, chunks: 2, threads: 0 } as const;
    const { base } = await compareModels(model, [model], text, { ...options, fast: true });
    expect(base.ppl.value).toBe(await evaluate(0, 2, true));
    const file = readQuestions(new URL("../../golden/choice/arc.jsonl", import.meta.url).pathname);
    const ask = async (fast: boolean) => {
      const result = await evaluateChoice(model, createTokenizer(model.vocab), file, {
        limit: 2,
        fast,
        threads: 0,
      });
      return result.questions.flatMap(({ logLikelihoods }) => logLikelihoods);
    };
    const [exact, own] = [await ask(false), await ask(true)];
    expect(own).not.toEqual(exact);
    for (const [i, value] of own.entries()) expect(Math.abs(value / exact[i]! - 1)).toBeLessThan(1e-5);
  });
});
