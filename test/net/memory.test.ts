import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Kernels } from "../../src/kernels/kernels.js";
import { openModel } from "../../src/model.js";
import { mixerOf } from "../../src/net/mixers/index.js";
import { planDecoder } from "../../src/net/plan/decoder.js";
import { shareOf } from "../../src/net/team/exchange.js";
import { statesFor, teamMemory } from "../../src/net/team/memory.js";
import { Team } from "../../src/net/team/team.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { TINY_LLAMA } from "../support/scratch.js";

const GOLDEN = new URL("../golden/families/", import.meta.url).pathname;
const FAMILIES = readdirSync(GOLDEN).filter((name) => existsSync(join(GOLDEN, name, "generate.json")));
const MIB = 2 ** 20;

describe.each(FAMILIES)("states of %s", (family) => {
  const plan = planDecoder(openModel(join(GOLDEN, family)));

  test.each(["f32", "f16"] as const)("in %s take the bytes that are counted", (kvType) => {
    const states = statesFor(plan, 100, kvType);
    const kernels = new Kernels();
    for (const thread of [0, 1, 2]) {
      const weights = { share: (units: number) => shareOf(units, thread, 3) };
      for (const { mixer } of plan.layers) {
        const { stateBytes, createState } = mixerOf(mixer.plan);
        kernels.reset();
        const start = kernels.reserve(0);
        createState(kernels, mixer.plan, weights, states);
        expect(kernels.mark() - start).toBe(stateBytes(mixer.plan, weights, states));
      }
    }
  });
});

describe("a team's WebAssembly memories are what was counted", () => {
  const model = openModel(TINY_LLAMA);
  const plan = planDecoder(model);
  const quantized = planQuantize(model, findRecipe("Q4_0")).tensors;

  test.each([
    ["as stored", 1, new Map()],
    ["in Q4_0", 1, new Map(quantized.map(({ tensor, dtype }) => [tensor.name, dtype]))],
    ["by three threads", 3, new Map()],
  ] as const)("%s", async (_name, threads, types) => {
    const source = { activations: "int8", types } as const;
    const options = { context: 256, kvType: "q8_0", threads, sequences: 4 } as const;
    const counted = teamMemory(new Kernels(), plan, { ...options, source });
    const team = await Team.load(model, { ...options, ...source });
    try {
      const loaded = team.memory;
      await team.step(
        [0],
        Int32Array.from({ length: 256 }, (_, i) => i),
      );
      // What a thread's memory begins with, and what rows are laid out in as they are loaded.
      const kept = counted.weights + counted.states;
      expect(loaded).toBeGreaterThan(kept);
      expect(loaded).toBeLessThan(kept + threads * 2 * MIB);
      // Of what a piece is worked on in, the count is what products of floats take, which are the largest.
      expect(team.memory).toBeGreaterThan(kept + 0.4 * counted.working);
      expect(team.memory).toBeLessThan(kept + counted.working + threads * MIB);
    } finally {
      await team.close();
    }
  });
});
