import { join } from "node:path";
import { expect, test } from "vitest";
import { stepsOf } from "../../../src/eval/calibrate/steps.js";
import { unknownImatrix } from "../../../src/eval/calibrate/text.js";
import { openModel } from "../../../src/model.js";
import { planDecoder } from "../../../src/net/plan/decoder.js";
import { planQuantize } from "../../../src/quant/plan.js";
import { findRecipe } from "../../../src/quant/recipes/recipes.js";
import { GOLDEN_FAMILIES } from "../../support/families.js";

/** The steps of a family's first layer, and the last; tensors by their names within the layer. */
function stepsIn(family: string) {
  const model = openModel(join(GOLDEN_FAMILIES, family));
  const imatrix = unknownImatrix(model, "text.txt", 1);
  const steps = stepsOf(planDecoder(model), planQuantize(model, findRecipe("Q4_0"), { imatrix }));
  const shown = steps.map(({ stages, ...step }) => ({
    ...step,
    stages: stages.map(({ tensors, ...stage }) => ({
      ...stage,
      tensors: tensors.map(({ tensor }) => tensor.name.replace(/^blk\.\d+\.|\.weight$/g, "")),
    })),
  }));
  return { first: shown.filter(({ layer }) => layer === 0), last: shown.at(-1)!, count: steps.length };
}

// Of config.json: width 32, four heads of 8 of which two have keys and values, two layers. Multiply-adds are products of
// shapes: queries 32 · 32, keys and values 16 · 32 each.
const whole = { experts: 0, rowsOfToken: 1, alike: false };
const attention = {
  ...{ layer: 0, half: 0, isTied: false, work: 2048 + 1024 },
  stages: [
    {
      ...whole,
      ...{
        input: "attn_norm",
        columns: 32,
        adds: false,
        workBefore: 0,
        tensors: ["attn_q", "attn_k", "attn_v"],
      },
    },
    {
      ...whole,
      ...{ input: "attn_output", columns: 32, adds: true, workBefore: 2048, tensors: ["attn_output"] },
    },
  ],
};

test("a layer is two steps, whose matrices go by what goes into them", () => {
  const { first, last, count } = stepsIn("llama");
  const feedForward = {
    ...{ layer: 0, half: 1, isTied: false, work: 3 * 96 * 32 },
    stages: [
      {
        ...whole,
        ...{ input: "ffn_norm", columns: 32, adds: false, workBefore: 0, tensors: ["ffn_gate", "ffn_up"] },
      },
      {
        ...whole,
        ...{ input: "ffn_down", columns: 96, adds: true, workBefore: 2 * 96 * 32, tensors: ["ffn_down"] },
      },
    ],
  };
  expect(first).toEqual([attention, feedForward]);
  expect(count).toBe(5);
  expect(last).toMatchObject({
    layer: undefined,
    isTied: false,
    stages: [{ tensors: ["output"], adds: false }],
  });
});

test("experts: a token makes a row for each that it chooses, and what all of them take is alike", () => {
  // four experts of 64, of which a token has two; before them the router's 4 · 32
  const { first } = stepsIn("mixtral");
  const of = { experts: 4, rowsOfToken: 2, adds: false };
  const before = 4 * 32;
  const up = 2 * 2 * 64 * 32;
  expect(first).toEqual([
    attention,
    {
      ...{ layer: 0, half: 1, isTied: false, work: before + up + 2 * 64 * 32 },
      stages: [
        {
          ...of,
          ...{ input: "experts", columns: 32, alike: true, workBefore: before },
          tensors: ["ffn_gate_exps", "ffn_up_exps"],
        },
        {
          ...of,
          ...{ input: "experts_down", columns: 64, alike: false, workBefore: before + up },
          tensors: ["ffn_down_exps"],
        },
      ],
    },
  ]);
});
