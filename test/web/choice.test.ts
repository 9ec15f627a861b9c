import { expect, it } from "vitest";
import { BITS as OF_COMMAND } from "../../src/quant/recipes/recipes.js";
import { BITS, commonRows, fileName, suggestedRecipe } from "../../web/src/state/choice.js";
import { sumGroups, total } from "../../web/src/state/groups.js";
import { StandIn } from "./check/stand-in.js";

const engine = new StandIn({});
const fitOf = (memory: number) => engine.call("fit", { memory, context: undefined });

it("means by bits what the command means", () => {
  expect(BITS).toEqual(Object.entries(OF_COMMAND).filter(([bits]) => bits !== "1"));
});

it("suggests four bits, fewer where those do not fit, and the smallest where nothing does", async () => {
  expect(suggestedRecipe(await fitOf(64e9))).toBe("Q4_K_M");
  const tight = await fitOf(1.11e9);
  expect(commonRows(tight).map(({ row }) => row.fits)).toEqual([true, true, false, false, false, false]);
  expect(suggestedRecipe(tight)).toBe("Q3_K_M");
  expect(suggestedRecipe(await fitOf(1e6))).toBe("Q2_K");
});

it.each([
  ["Llama-3.2-1B", "Llama-3.2-1B-Q4_K_M.gguf"],
  ["meta-llama/Llama-3.2-1B", "Llama-3.2-1B-Q4_K_M.gguf"],
  ["some/model-bf16.gguf", "model-bf16-Q4_K_M.gguf"],
  ['a:b*"c', "a-b-c-Q4_K_M.gguf"],
  ["..", "model-Q4_K_M.gguf"],
])("calls the file of %s %s", (model, name) => {
  expect(fileName(model, "Q4_K_M")).toBe(name);
});

it("adds up all tensors in few rows, and the rest of the file", async () => {
  const plan = await engine.call("plan", { recipe: "Q4_K_M" });
  const sums = sumGroups(plan);
  expect(total(sums, ({ count }) => count)).toBe(plan.tensors.length);
  expect(total(sums, ({ bytesAfter }) => bytesAfter)).toBe(plan.byteLength);
  expect(sums.find(({ group }) => group === "feedForward")).toMatchObject({
    from: ["BF16"],
    to: ["Q4_K", "Q6_K"],
  });
  expect(sums.at(-1)).toMatchObject({ group: "header", count: 0 });
});
