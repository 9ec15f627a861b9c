import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findPreset, PRESETS } from "../../src/arch/published/presets.js";
import { openModel } from "../../src/model.js";
import { configOutline, type Outline, openOutline } from "../../src/outline.js";
import { parseBytes } from "../../src/quant/bytes.js";
import { checkSomeFit, planFit } from "../../src/quant/fit/fit.js";
import { largestContext } from "../../src/quant/fit/memory.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { refusal } from "../support/build/build.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const folder = scratchFolder();

function llq(...args: string[]) {
  const options = { encoding: "utf8", cwd: folder } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], options);
  return { status, stdout, stderr };
}

function outlineOf(name: string): Outline {
  return configOutline(name, name, findPreset(name).config);
}

describe("what a model is known from", () => {
  const model = openModel(TINY_LLAMA);
  const fitOf = (outline: Outline) => planFit({ ...outline, path: "" }, { memory: 1e9, context: 256 });
  const whole = fitOf({ ...model, stored: false });

  test("config.json alone says what the tensors say", () => {
    mkdirSync(join(folder, "config-only"));
    copyFileSync(join(TINY_LLAMA, "config.json"), join(folder, "config-only/config.json"));
    const outline = openOutline(join(folder, "config-only"));
    expect(fitOf(outline)).toEqual(whole);
    expect(outline.tensors.map(({ name, shape }) => [name, shape])).toEqual(
      model.tensors.map(({ name, shape }) => [name, shape]),
    );
  });

  test("a GGUF's header alone says what the file says, and the file is one of the answers", () => {
    const file = join(folder, "q4.gguf");
    llq("quantize", TINY_LLAMA, "-o", file, "--bits", "4");
    const before = fitOf(openOutline(file));
    const { tensors } = openModel(file);
    truncateSync(file, Math.min(...tensors.map(({ sources }) => sources[0]!.offset)));
    expect(refusal(() => openModel(file))).toMatch(/the file ends at/);
    expect(fitOf(openOutline(file))).toEqual(before);
    const asItIs = before.rows.find(({ recipe }) => recipe === undefined)!;
    const same = before.rows.find(({ recipe }) => recipe === "Q4_K_M")!;
    expect({ ...asItIs, recipe: "Q4_K_M" }).toEqual(same);
    expect(before.rows.filter((row) => row !== asItIs)).toEqual(whole.rows);
  });

  test("a GGUF cut in its header is refused", () => {
    const file = join(folder, "q4.gguf");
    truncateSync(file, 3000);
    expect(llq("fit", file, "-m", "8GB")).toMatchObject({ status: 3, stdout: "" });
  });

  test("biases count where the configuration has them", () => {
    const config = JSON.parse(readFileSync(join(TINY_LLAMA, "config.json"), "utf8"));
    const count = (more: object) => configOutline("", "", { ...config, ...more }).tensors.length;
    expect(count({ attention_bias: true }) - count({})).toBe(4 * 4);
    expect(count({ mlp_bias: true }) - count({})).toBe(4 * 3);
  });
});

describe("amounts of memory", () => {
  test.each([
    ["8GB", 8e9],
    ["8G", 8e9],
    ["8 gb", 8e9],
    ["8GiB", 2 ** 33],
    ["7.5GiB", 7.5 * 2 ** 30],
    ["500MB", 5e8],
    ["1.5TB", 1.5e12],
    ["512KiB", 2 ** 19],
    ["8B", 8],
    ["2587360B", 2587360],
  ])("%s", (text, bytes) => {
    expect(parseBytes("--memory", text)).toBe(bytes);
  });

  test.each(["8", "GB", "8XB", "-8GB", "0GB", "8GBs", "1e3GB", "8,5GB", "8GIGA", "", "99999999TB", "8 G B"])(
    "%j is none",
    (text) => {
      expect(refusal(() => parseBytes("--memory", text))).toBe(
        `usage: --memory ${text}: not a size with its unit`,
      );
    },
  );
});

describe("the largest context", () => {
  test("is the last that fits, in steps, or the model's own", () => {
    for (const most of [100, 256, 1000, 4096]) {
      for (let budget = 0; budget < 5000; budget += 77) {
        const steps = Array.from({ length: Math.ceil(most / 256) }, (_, i) => Math.min((i + 1) * 256, most));
        expect(largestContext(most, budget, (context) => context)).toBe(
          steps.filter((n) => n <= budget).at(-1),
        );
      }
    }
  });
});

test("never suggests a type that a k-quant of no larger size surpasses", () => {
  const outline = outlineOf("llama-2-7b");
  const legacy = ["Q4_0", "Q4_1", "Q5_0", "Q5_1"];
  for (const type of legacy) {
    const all = planFit(outline, { memory: 1e12, context: 512 });
    const { totalBytes, weightBytes } = all.rows.find(({ recipe }) => recipe === type)!;
    // Memory for this very file, and for no larger one.
    const { suggested, rows } = planFit(outline, { memory: totalBytes, context: 512 });
    expect(legacy).not.toContain(suggested);
    const chosen = rows.find(({ recipe }) => recipe === suggested)!;
    expect(chosen.fits && chosen.weightBytes <= weightBytes).toBe(true);
    // The k-quants are of about as many bits: 5_1 has 6, Q5_K_M 5.7; Q4_0 has 4.5, Q4_K_S 4.6.
    expect(chosen.bitsPerWeight).toBeGreaterThan(0.9 * (Number(type[1]) + (type.endsWith("1") ? 1 : 0.5)));
  }
});

test("says of a type that it needs an importance matrix where quantizing is refused without one", () => {
  const model = openModel(TINY_LLAMA);
  const { rows } = planFit({ ...model, stored: false }, { memory: 1e9, context: 256 });
  const refused = rows.flatMap(({ recipe }) => {
    const said = refusal(() => planQuantize(model, findRecipe(recipe!)));
    return /importance matrix/.test(said) ? [recipe] : [];
  });
  expect(refused).toContain("IQ2_XXS"); // as llama-quantize refuses it
  expect(rows.filter(({ needsImatrix }) => needsImatrix).map(({ recipe }) => recipe)).toEqual(refused);
});

test("windows are kept with a batch, in whole steps, as llama.cpp pads them", () => {
  const config = {
    ...{ architectures: ["Gemma2ForCausalLM"], num_hidden_layers: 2, hidden_size: 64, intermediate_size: 64 },
    ...{ num_attention_heads: 2, num_key_value_heads: 1, head_dim: 32, query_pre_attn_scalar: 32 },
    ...{ vocab_size: 64, max_position_embeddings: 8192, rms_norm_eps: 1e-6, hidden_act: "gelu_pytorch_tanh" },
  };
  const bytes = (sliding_window: number, context: number) => {
    const outline = configOutline("g", "g", { ...config, sliding_window });
    return planFit(outline, { memory: 1e9, context }).run.kv.bytes;
  };
  // A layer with a window and one without, 32 keys and 32 values of two bytes a token. llama.cpp keeps the window and a
  // batch of 512, padded to 256: GGML_PAD(1000 + 512, 256) = 1536, of 300 it is 1024; never more than the context.
  const kept = (window: number, all: number) => (window + all) * 64 * 2;
  expect(bytes(1000, 8192)).toBe(kept(1536, 8192));
  expect(bytes(300, 8192)).toBe(kept(1024, 8192));
  expect(bytes(1024, 8192)).toBe(kept(1536, 8192));
  expect(bytes(1000, 1024)).toBe(kept(1024, 1024));
});

describe("what does not fit", () => {
  test("says what would be needed", () => {
    const outline = outlineOf("llama-2-70b");
    const error = (memory: number, context?: number) => {
      const fit = planFit(outline, { memory, context });
      return refusal(() => checkSomeFit(outline, fit, memory));
    };
    expect(error(8e9)).toMatch(
      /^no-space: llama-2-70b: nothing fits 8\.00 GB with 4096 tokens: IQ1_S, the smallest, needs 16\.\d\d GB$/,
    );
    expect(error(17e9)).toBe("accepted");
    expect(error(15.5e9)).toMatch(/nothing fits 15\.50 GB/);
    expect(error(15.5e9, 512)).toBe("accepted");
  });

  test("a context beyond the model's", () => {
    const outline = outlineOf("llama-2-7b");
    expect(refusal(() => planFit(outline, { memory: 8e9, context: 4097 }))).toBe(
      "usage: llama-2-7b: trained for 4096 tokens; 4097 are beyond it",
    );
  });

  test("a KV type that the heads do not divide into", () => {
    const config = { ...findPreset("llama-2-7b").config, num_attention_heads: 256, num_key_value_heads: 256 };
    const outline = configOutline("m", "m", config);
    expect(refusal(() => planFit(outline, { memory: 8e9, kvType: "q8_0" }))).toBe(
      "usage: heads of 16 do not divide into Q8_0 blocks of 32",
    );
  });
});

describe("llq fit", () => {
  test("prints a table with the formulas", () => {
    const { status, stdout } = llq("fit", "--params", "7B", "--memory", "8GB", "--threads", "2");
    expect(status).toBe(0);
    expect(stdout).toContain("llama-2-7b: llama, 6.74 G weights, 32 layers, trained for 4096 tokens");
    expect(stdout).toContain("2.00 GiB  = 32 layers × 4096 tokens × 32 KV heads × 2 × 128 × 2 bytes");
    expect(stdout).toMatch(/\nsuggested: Q6_K\n$/);
    expect(stdout).toMatch(/^Q4_K_M +4\.84 +3\.80 GiB +5\.9\d GiB +yes +4096 \(all\) +6\.\d\d GiB$/m);
    expect(stdout).toMatch(/^Q8_0 +8\.50 +6\.67 GiB +8\.8\d GiB +no +1024 +9\.\d\d GiB$/m);
    expect(stdout).toContain(
      "\ntotal is llama.cpp's; llq generate takes what the last column says, with 2 threads\n",
    );
  });

  test("prints one JSON document", () => {
    const { status, stdout } = llq(
      "fit",
      TINY_LLAMA,
      "-m",
      "1GB",
      "-c",
      "128",
      "--kv-type",
      "q8_0",
      "--json",
    );
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({
      schema: 1,
      model: TINY_LLAMA,
      architecture: "llama",
      weights: 4065536,
      memory: 1e9,
      context: 128,
      contextLength: 256,
      kvType: "q8_0",
      kv: { bytes: (4 * 2 * 2 * 32 * 256 * 34) / 32 },
    });
    expect(document.recipes[0]).toMatchObject({ recipe: "F32", fits: true, largestContext: 256 });
    for (const { generate, weightBytes } of document.recipes) {
      const { totalBytes, weights, states, working, shared, program } = generate;
      expect(totalBytes).toBe(weights + states + working + shared + program);
      expect(states).toBe(document.kv.bytes);
      expect(weights).toBeLessThan(1.1 * weightBytes);
    }
  });

  test("has its table on stdout and status 5 where nothing fits", () => {
    const { status, stdout, stderr } = llq("fit", "--params", "llama-2-70b", "--memory", "8GB");
    expect(status).toBe(5);
    expect(stdout).toContain("Q2_K_S");
    expect(stderr).toMatch(/nothing fits 8\.00 GB.*\n hint: --memory 16\.\dGB, or a smaller model\n/);
  });

  test.each([
    [["--memory", "8GB"], 2, /which model\?/],
    [[TINY_LLAMA, "--params", "7B", "-m", "8GB"], 2, /--params exclude each other/],
    [["--params", "llama-2-7c", "-m", "8GB"], 2, /no such published size\n hint: did you mean llama-2-7b\?/],
    [
      ["--params", "7B", "-m", "8"],
      2,
      /--memory 8: not a size with its unit\n hint: --memory 8GB .*, or 8B for bytes/,
    ],
    [["--params", "7B", "-m", "8GB", "-c", "5000"], 2, /5000 are beyond it\n hint: --context 4096 or less/],
    [
      ["--params", "7B", "-m", "8GB", "--kv-type", "q5_0"],
      2,
      /Allowed choices are f32, f16, bf16, q8_0, q4_0/,
    ],
    [["nowhere", "-m", "8GB"], 3, /nowhere: no such file or folder/],
  ])("%j ends with status %d", (args, status, message) => {
    const result = llq("fit", ...args);
    expect(result).toMatchObject({ status, stdout: "" });
    expect(result.stderr).toMatch(message);
  });
});

test("a short name leads to a preset that is there", () => {
  expect(findPreset("7B").name).toBe("llama-2-7b");
  for (const name of PRESETS.keys()) expect(findPreset(name.toUpperCase()).name).toBe(name);
  const hinting = (hint: RegExp) => expect.objectContaining({ hint: expect.stringMatching(hint) });
  expect(() => findPreset("llama-2-7c")).toThrow(hinting(/^did you mean llama-2-7b\? known: .*llama-2-70b/));
  expect(() => findPreset("something quite different")).toThrow(hinting(/^known: /));
});
