import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { evaluatePerplexity } from "../../../src/eval/perplexity/perplexity.js";
import { openModel } from "../../../src/model.js";
import { planKeep, planQuantize } from "../../../src/quant/plan.js";
import { findRecipe } from "../../../src/quant/recipes/recipes.js";
import { verify } from "../../../src/run/measure/verify.js";
import { execute } from "../../../src/run/write/execute.js";
import { refusal } from "../../support/build/build.js";
import { scratchFolder } from "../../support/scratch.js";

// Whole checkpoints that their own writers packed, what they say of a text, and what llama.cpp's converter makes of them:
// golden/make/packed_checkpoints.py.

const GOLDEN = "test/golden/packed";
const FAMILY = "test/golden/families/llama-3.2";
const NAMES = readdirSync(GOLDEN);
/** Those that go to GGUF as they are. */
const BLOCKS = /nvfp4|mxfp4/;

type Written = readonly [name: string, shape: readonly number[], type: string, sha256: string];

interface Expected {
  readonly perplexity: number;
  readonly converted?: {
    readonly keys: Readonly<Record<string, unknown>>;
    readonly tensors: readonly Written[];
  };
}

const { tokens }: { tokens: number[] } = JSON.parse(readFileSync(join(FAMILY, "reference.json"), "utf8"));
const scratch = scratchFolder();

/** The checkpoint with its tokenizer. */
function folderOf(name: string): string {
  const folder = join(scratch, name);
  mkdirSync(folder, { recursive: true });
  for (const file of ["config.json", "model.safetensors"])
    copyFileSync(join(GOLDEN, name, file), join(folder, file));
  for (const file of ["tokenizer.json", "tokenizer_config.json"])
    copyFileSync(join(FAMILY, file), join(folder, file));
  return folder;
}

async function perplexityOf(path: string): Promise<number> {
  const options = { context: 256, chunks: 2, bos: undefined, activations: "f32", threads: 0 } as const;
  return (await evaluatePerplexity(openModel(path), Int32Array.from(tokens), options)).ppl;
}

async function kept(from: string, name: string): Promise<string> {
  const output = join(scratch, `${name}.gguf`);
  await execute(planKeep(openModel(from)), output, { threads: 0 });
  return output;
}

/** Every tensor of a GGUF file, in its order. */
function writtenIn(path: string): Written[] {
  const bytes = readFileSync(path);
  return Array.from(openContainer(path).tensors, ([name, { offset, byteLength, dtype, shape }]) => {
    const digest = createHash("sha256").update(bytes.subarray(offset, offset + byteLength));
    return [name, shape, dtype, digest.digest("hex")];
  });
}

const byName = (tensors: readonly Written[]) =>
  Object.fromEntries(tensors.map(([name, ...rest]) => [name, rest]));

const expectedOf = (name: string): Expected =>
  JSON.parse(readFileSync(join(GOLDEN, name, "expected.json"), "utf8"));

describe.each(NAMES)("%s", (name) => {
  test("the folder and its conversion say what the writer's weights say", async () => {
    const folder = folderOf(name);
    const file = await kept(folder, name);
    for (const path of [folder, file]) {
      const deviation = Math.log((await perplexityOf(path)) / expectedOf(name).perplexity);
      expect(Math.abs(deviation), path).toBeLessThan(1e-6);
    }
    const verdicts = await verify(openModel(file), openModel(folder), { threads: 0 });
    expect(verdicts.filter(({ verdict }) => verdict === "wrong")).toEqual([]);
    const copy = await kept(file, `${name}-copy`);
    expect(readFileSync(copy).equals(readFileSync(file))).toBe(true);
  });
});

test.each(NAMES.filter((name) => expectedOf(name).converted !== undefined))(
  "%s: its conversion is llama.cpp's, tensor by tensor",
  async (name) => {
    const { keys, tensors } = expectedOf(name).converted!;
    const file = await kept(folderOf(name), `${name}-converted`);
    expect(byName(writtenIn(file))).toEqual(byName(tensors));
    const { metadata } = openContainer(file);
    const own = Object.keys(keys).map((key) => [key, metadata.get(key)?.value]);
    expect(Object.fromEntries(own)).toEqual(keys);
    expect(metadata.has("general.tensor_extra.name")).toBe("general.tensor_extra.name" in keys);
  },
);

test.each(NAMES.filter((name) => BLOCKS.test(name)))(
  "%s: its weights become blocks of their own type",
  async (name) => {
    const file = await kept(folderOf(name), `${name}-blocks`);
    const types = writtenIn(file).filter(([tensor]) => /blk.*(attn_q|ffn_up|_exps)\.weight/.test(tensor));
    expect(new Set(types.map((each) => each[2]))).toEqual(
      new Set([name.includes("nvfp4") ? "NVFP4" : "MXFP4"]),
    );
    const again = () => planQuantize(openModel(file), findRecipe("Q4_K_M"));
    expect(refusal(again)).toMatch(/is quantized already \((NVFP4|MXFP4)\)/);
  },
);

describe("what cannot be carried", () => {
  const altered = async (
    change: (bytes: Buffer, header: Record<string, { data_offsets: [number, number] }>) => void,
  ) => {
    const folder = folderOf("modelopt-nvfp4");
    const bytes = readFileSync(join(folder, "model.safetensors"));
    const length = Number(bytes.readBigUInt64LE(0));
    change(bytes.subarray(8 + length), JSON.parse(bytes.subarray(8, 8 + length).toString()));
    writeFileSync(join(folder, "model.safetensors"), bytes);
    return folder;
  };

  test.each([
    ["negative", 0x81],
    ["none", 0x7f],
  ])("a scale that is %s: refused, with the tensor and the row", async (_, byte) => {
    const folder = await altered((data, header) => {
      const { data_offsets: at } = header["model.layers.0.mlp.up_proj.weight_scale"]!;
      data[at[0] + 4 * 2 + 1] = byte; // of four groups a row, in the third
    });
    const done = kept(folder, `scale-${byte}`);
    await expect(done).rejects.toThrow(`tensor blk.0.ffn_up.weight: row 2: a scale is the byte ${byte}`);
  });
});

test("a GGUF whose scales are of another number is refused", () => {
  const path = join(scratch, "modelopt-nvfp4-experts.gguf");
  const bytes = readFileSync(path);
  const at = bytes.indexOf("blk.0.ffn_up_exps.scale") + "blk.0.ffn_up_exps.scale".length;
  expect(bytes.readUInt32LE(at)).toBe(1);
  bytes.writeBigUInt64LE(3n, at + 4);
  const damaged = join(scratch, "damaged.gguf");
  writeFileSync(damaged, bytes);
  expect(refusal(() => openModel(damaged))).toContain(
    "ffn_up_exps.scale is F32 of 3; F32 of 1 or 4 was expected",
  );
});
