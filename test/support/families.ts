import { readFileSync } from "node:fs";
import { join } from "node:path";
import { evaluatePerplexity } from "../../src/eval/perplexity/perplexity.js";
import { type Model, openModel } from "../../src/model.js";
import { planConvert } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { changedCheckpoint } from "./checkpoint.js";

/** Tiny checkpoints of every family; golden/make/families.py. */
export const GOLDEN_FAMILIES = new URL("../golden/families/", import.meta.url).pathname;

/** Makes copies of families' checkpoints with other fields in config.json; undefined takes one away. */
export function changedFamilies(
  scratch: string,
): (family: string, change: Record<string, unknown>) => string {
  let copies = 0;
  return (family, change) => {
    const folder = join(scratch, `changed-${copies++}`);
    changedCheckpoint(join(GOLDEN_FAMILIES, family), folder, {
      config: (config: Record<string, unknown>) =>
        Object.fromEntries(
          Object.entries({ ...config, ...change }).filter(([, value]) => value !== undefined),
        ),
    });
    return folder;
  };
}

/** Perplexity of a model with f32 activations over the family's tokens, as golden/make/families.py reckons it. */
export async function familyPerplexity(family: string, model: Model): Promise<number> {
  const { tokens, context } = JSON.parse(
    readFileSync(join(GOLDEN_FAMILIES, family, "reference.json"), "utf8"),
  );
  const bos = model.vocab.addBos ? model.vocab.special.bos : undefined;
  const options = { context, bos, activations: "f32", threads: 0 } as const;
  return (await evaluatePerplexity(model, Int32Array.from(tokens), options)).ppl;
}

/** The model as a GGUF of F32, opened. */
export async function convertedModel(model: Model, output: string, type = "F32"): Promise<Model> {
  await execute(planConvert(model, findRecipe(type)), output, { threads: 0, force: true });
  return openModel(output);
}
