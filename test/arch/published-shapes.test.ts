import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { TensorSource } from "../../formats/container.js";
import { elementCount } from "../../formats/dtype.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { bindHuggingFace } from "../../src/arch/bind.js";
import { textConfig } from "../../src/arch/checkpoint/text-config.js";
import { readHParams } from "../../src/arch/hparams.js";
import { architectureOfConfig } from "../../src/arch/index.js";
import type { Model } from "../../src/model.js";
import { type Plan, planConvert } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";

// Published models by their shapes alone; golden/make/published.py.
const GOLDEN = new URL("../golden/families/published/", import.meta.url);
const MODELS = readdirSync(GOLDEN).map((file) => file.replace(/\.json$/, ""));

type Shape = readonly number[];

interface Golden {
  /** As published, and as the reference implementation counts. */
  readonly parameters: number;
  readonly config: Record<string, unknown>;
  /** How many layers {i} and experts {e} stand for. */
  readonly counts: { readonly i: number; readonly e?: number };
  readonly checkpoint: readonly (readonly [name: string, shape: Shape])[];
  /** What llama.cpp's converter writes with --outtype f16; absent where it has none for the family. */
  readonly gguf?: readonly (readonly [name: string, shape: Shape, dtype: string])[];
}

function read(model: string): Golden {
  return JSON.parse(readFileSync(new URL(`${model}.json`, GOLDEN), "utf8"));
}

/** One row for each layer and expert that its name stands for. */
function expand<R extends readonly [string, ...unknown[]]>(rows: readonly R[], { counts }: Golden): R[] {
  const numbered = (row: R, index: string, count = 1): R[] =>
    row[0].includes(index)
      ? Array.from(
          { length: count },
          (_, i) => [row[0].replace(index, `${i}`), ...row.slice(1)] as unknown as R,
        )
      : [row];
  return rows
    .flatMap((row) => numbered(row, "{i}", counts.i))
    .flatMap((row) => numbered(row, "{e}", counts.e));
}

/** The plan of a conversion to F16, of a checkpoint without a byte. */
function planOf(golden: Golden): Plan {
  const file = "config.json";
  const config = textConfig(golden.config);
  const architecture = architectureOfConfig(file, config);
  const hf = architecture.read(file, config);
  const metadata: Model["metadata"] = new Map([
    ["general.architecture", meta.string(architecture.name)],
    ["general.file_type", meta.u32(0)],
    ...hf.keys.map(([key, field]) => [`${architecture.name}.${key}`, field] as const),
  ]);
  const sources = expand(golden.checkpoint, golden).map(([name, shape]): [string, TensorSource] => {
    const byteLength = elementCount(shape) * 2;
    return [name, { file: 0, dtype: "F16", shape, offset: 0, byteLength } as TensorSource];
  });
  const container = {
    files: [],
    tensors: new Map(sources),
  } as unknown as Model["container"];
  const hparams = readHParams(file, metadata);
  const tensors = bindHuggingFace(architecture, hparams, container, hf);
  const model = { path: "model", folder: "model", container, architecture, hparams, metadata, tensors };
  return planConvert(model as unknown as Model, findRecipe("F16"));
}

describe.each(MODELS)("%s", (name) => {
  const golden = read(name);
  const plan = planOf(golden);

  test("has all parameters, and no more", () => {
    const computed = plan.tensors.filter(({ tensor }) => tensor.values !== undefined);
    expect(computed.map(({ tensor }) => tensor.name).filter((each) => each !== "rope_freqs.weight")).toEqual(
      [],
    );
    const stored = plan.tensors.filter(({ tensor }) => tensor.values === undefined);
    expect(stored.reduce((sum, { tensor }) => sum + elementCount(tensor.shape), 0)).toBe(golden.parameters);
  });

  test.skipIf(golden.gguf === undefined)("becomes the tensors that llama.cpp's converter writes", () => {
    const planned = plan.tensors.map(({ tensor, dtype }) => [tensor.name, tensor.shape, dtype]);
    const expected = expand(golden.gguf!, golden);
    const byName = (a: readonly unknown[], b: readonly unknown[]) => (`${a[0]}` < `${b[0]}` ? -1 : 1);
    expect(planned.sort(byName)).toEqual(expected.map((row) => [...row]).sort(byName));
  });
});
