import { afterAll, beforeAll, expect, test } from "vitest";
import type { Architecture } from "../../src/arch/architecture.js";
import { ARCHITECTURES } from "../../src/arch/index.js";
import { gatedMlp, linear, norm, separateQkv, tensor } from "../../src/arch/rows.js";
import { attention, type MixerTraits, perLayer } from "../../src/arch/traits.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { prepareBlocks, runBlocks } from "../../src/net/blocks.js";
import { spanOf } from "../../src/net/group.js";
import { inputsOf } from "../../src/net/inputs.js";
import { runLayer } from "../../src/net/layer.js";
import { MIXERS, mixerOf } from "../../src/net/mixers/index.js";
import type { Mixer } from "../../src/net/mixers/mixer.js";
import type { MixerState } from "../../src/net/mixers/state/state.js";
import { normalize } from "../../src/net/norm.js";
import { planDecoder } from "../../src/net/plan/decoder.js";
import type { Linear, MixerPlan } from "../../src/net/plan/types.js";
import { slabMemory } from "../../src/net/products/matmul.js";
import { streamWeights } from "../../src/net/products/streamed.js";
import { withSession } from "../../src/net/session.js";
import { batchTokens, hiddenBytes } from "../../src/net/span.js";
import { addProduct } from "../../src/net/work.js";
import { withFiles } from "../../src/run/threads/scope.js";
import type { Tensor } from "../../src/tensor.js";
import { logitsOf } from "../support/logits.js";
import { openMadeUp, reference, TOKENS, type Vector, VOCAB, WIDTH, weights } from "../support/made-up.js";
import { scratchFolder } from "../support/scratch.js";

// What a new mixer takes, shown with one that no model has: this object is its file, and its row in MIXERS is all the rest.
// The family beside it is likewise an object and a row.

/** out = output(m), m of a token being share × n + (1 - share) × n of the token before, number by number. */
interface ShiftPlan extends MixerPlan {
  readonly kind: "shift";
  /** [width] */
  readonly share: Tensor;
  readonly output: Linear;
}

/** The last token's n [width]. */
class ShiftState implements MixerState {
  length = 0;
  readonly #kernels: Kernels;
  readonly #address: number;
  readonly #width: number;

  constructor(kernels: Kernels, width: number) {
    this.#kernels = kernels;
    this.#width = width;
    this.#address = kernels.reserve(width * 4);
    this.truncate(0);
  }

  get last(): Float32Array {
    return this.#kernels.floats(this.#address, this.#width);
  }

  truncate(length: number): boolean {
    if (length === 0) {
      this.last.fill(0);
      this.length = 0;
    }
    return length === this.length;
  }

  copyFrom(other: ShiftState): void {
    this.last.set(other.last);
    this.length = other.length;
  }
}

const shift: Mixer<MixerTraits & { kind: "shift" }, ShiftPlan> = {
  kind: "shift",
  plan: (_, { find }) => ({
    kind: "shift",
    share: find.tensor("ssm_d")!,
    output: find.linear("ssm_out")!,
  }),
  inputs: ({ output }) => [["shifted", [output]]],
  memory: ({ output }, { width, tokens }) => 4 * width * (3 * tokens + 1) + slabMemory(output.weight, tokens),
  canTruncate: (_, __, had, length) => length === had.length,
  stateBytes: ({ share }) => share.shape[0]! * 4,
  createState: (kernels, { share }) => new ShiftState(kernels, share.shape[0]!),
  run(work, { norm, plan, postNorm }, from, x) {
    const { kernels, weights, batch } = work;
    const { chunks, context, width } = batch;
    const tokens = batchTokens(batch);
    const start = kernels.mark();
    const n = kernels.reserve(tokens * width * 4);
    const shifted = kernels.reserve(tokens * width * 4);
    normalize(work, norm!, from, n, tokens);
    const share = kernels.floats(weights.vector(kernels, plan.share), width);
    for (let chunk = 0; chunk < chunks; chunk++) {
      const state = work.states?.[chunk] as ShiftState | undefined;
      const floats = context * width;
      const own = kernels.floats(n + chunk * floats * 4, floats);
      const to = kernels.floats(shifted + chunk * floats * 4, floats);
      for (let i = 0; i < floats; i++) {
        const before = i < width ? (state?.last[i] ?? 0) : own[i - width]!;
        to[i] = share[i % width]! * own[i]! + (1 - share[i % width]!) * before;
      }
      if (state !== undefined) {
        state.last.set(own.subarray(floats - width));
        state.length += context;
      }
    }
    work.squares?.add("shifted", shifted, tokens, width);
    addProduct(work, plan.output, postNorm, shifted, x, tokens);
    kernels.reset(start);
  },
};

/** Attention in even layers, a shift in odd ones. */
const family: Architecture = {
  name: "made-up",
  covers: ["A model of this test"],
  classes: ["MadeUpForCausalLM"],
  read: () => {
    throw new Error("there is no config.json of it");
  },
  tensors: [
    tensor("token_embd", ["vocab", "embd"], undefined),
    ...norm("attn_norm", "embd", ""),
    ...separateQkv("", { q: { optional: true }, k: { optional: true }, v: { optional: true } }),
    ...linear("attn_output", ["embd", "attn"], "", { optional: true }),
    tensor("ssm_d", ["embd"], undefined, { optional: true }),
    ...linear("ssm_out", ["embd", "embd"], "", { optional: true }),
    ...norm("ffn_norm", "embd", ""),
    ...gatedMlp(""),
    ...norm("output_norm", "embd", ""),
    tensor("output", ["vocab", "embd"], undefined),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "rms",
    layers: perLayer(h, (layer) => ({
      mixer: layer % 2 === 0 ? attention({}) : { kind: "shift" },
      feedForward: { activation: "silu" },
    })),
  }),
};

const scratch = scratchFolder();

beforeAll(() => {
  MIXERS.push(shift);
  (ARCHITECTURES as Architecture[]).push(family);
});
afterAll(() => {
  MIXERS.pop();
  (ARCHITECTURES as Architecture[]).pop();
});

/** The largest difference, in proportion to the range. */
function deviation(actual: ArrayLike<number>, expected: Vector): number {
  const range = Math.max(...expected) - Math.min(...expected);
  return Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value))) / range;
}

test("a family may give layers a new mixer, and the model computes what it should", async () => {
  const model = openMadeUp(scratch);
  expect(planDecoder(model).layers.map(({ mixer }) => mixer.plan.kind)).toEqual([
    ...["attention", "shift", "attention", "shift"],
  ]);
  const logits = await logitsOf(model, TOKENS);
  expect(logits).toHaveLength(TOKENS.length * VOCAB);
  expect(deviation(logits, reference(TOKENS).flat())).toBeLessThan(2e-6);
});

test.each([[[1]], [[4]], [[5, 1, 9]]])("it goes on from a state: pieces of %j", async (pieces) => {
  const model = openMadeUp(scratch);
  const plan = planDecoder(model);
  const whole = await runThrough([TOKENS.length]);
  expect(deviation(await runThrough(pieces), [...whole])).toBeLessThan(1e-6);

  /** The hidden states of all tokens behind the last layer. */
  async function runThrough(lengths: readonly number[]): Promise<Float32Array> {
    return withFiles(async (open) => {
      const kernels = new Kernels();
      const weightsOf = streamWeights(open(model.container.files));
      const options = { capacity: TOKENS.length, batch: TOKENS.length, kvType: "f32" } as const;
      const states = plan.layers.map(({ mixer }) =>
        mixerOf(mixer.plan).createState(kernels, mixer.plan, weightsOf, options),
      );
      const hidden = new Float32Array(TOKENS.length * WIDTH);
      const embedding = weights.get("token_embd.weight")!.values;
      for (let done = 0, i = 0; done < TOKENS.length; i++) {
        const context = Math.min(lengths[i % lengths.length]!, TOKENS.length - done);
        const mark = kernels.mark();
        const x = kernels.reserve(context * WIDTH * 4);
        for (let t = 0; t < context; t++) {
          const token = TOKENS[done + t]!;
          kernels
            .floats(x + t * WIDTH * 4, WIDTH)
            .set(embedding.subarray(token * WIDTH, (token + 1) * WIDTH));
        }
        const batch = { chunks: 1, context, width: WIDTH, starts: [done] };
        const on = {
          kernels,
          weights: weightsOf,
          activations: "f32",
          batch,
          rope: undefined,
          squares: undefined,
        } as const;
        for (const [l, layer] of plan.layers.entries()) runLayer({ ...on, states: [states[l]!] }, layer, [x]);
        hidden.set(kernels.floats(x, context * WIDTH), done * WIDTH);
        kernels.reset(mark);
        done += context;
      }
      expect(states.map(({ length }) => length)).toEqual(plan.layers.map(() => TOKENS.length));
      return hidden;
    });
  }
});

test("what goes into its matrix is collected", async () => {
  const model = openMadeUp(scratch);
  const expected = new Map<number, number[]>();
  reference(TOKENS, (layer, m) => {
    const before = expected.get(layer);
    expected.set(
      layer,
      m.map((value, c) => value * value + (before?.[c] ?? 0)),
    );
  });
  const layers: number[] = [];
  await withSession(model, { activations: "f32", threads: 0 }, async (session) => {
    const hidden = new SharedArrayBuffer(hiddenBytes(1, TOKENS.length, WIDTH));
    const blocks = prepareBlocks(session, TOKENS.length);
    const span = spanOf(session.plan, hidden, [TOKENS]);
    await runBlocks(
      session,
      blocks,
      span,
      [TOKENS],
      () => {},
      (layer, squares) => {
        const [sums, wanted] = [squares.get("shifted"), expected.get(layer)];
        expect(sums?.length).toBe(wanted?.length);
        if (sums === undefined) return;
        layers.push(layer);
        expect(deviation(sums, wanted!)).toBeLessThan(2e-6);
        expect(inputsOf(session.plan.layers[layer]!).get("shifted")?.columns).toBe(WIDTH);
      },
    );
  });
  expect(layers).toEqual([1, 3]);
});
