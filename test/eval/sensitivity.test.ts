import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { DTypeName } from "../../formats/dtype.js";
import { LlqError } from "../../formats/errors.js";
import { openImatrix } from "../../formats/imatrix/imatrix.js";
import { openSensitivity, parseSensitivity, sensitivityFile } from "../../formats/sensitivity.js";
import { evaluatePerplexity } from "../../src/eval/perplexity/perplexity.js";
import { Scratch } from "../../src/eval/sensitivity/perturb.js";
import { measureSensitivity } from "../../src/eval/sensitivity/sensitivity.js";
import {
  type WriteSensitivityOptions,
  writeSensitivity,
} from "../../src/eval/sensitivity/sensitivity-file.js";
import { openModel } from "../../src/model.js";
import { type Session, withSession } from "../../src/net/session.js";
import { importancesOf } from "../../src/quant/importance.js";
import { planQuantize } from "../../src/quant/plan.js";
import { pruneLayers } from "../../src/quant/prune.js";
import { isQuantizable } from "../../src/quant/recipes/choose.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import type { JobKind } from "../../src/run/threads/messages.js";
import { WorkerPool } from "../../src/run/threads/pool.js";
import { execute } from "../../src/run/write/execute.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { refusal } from "../support/build/build.js";
import { attack } from "../support/damage.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";
import { TARGETS } from "../targets.js";

const folder = scratchFolder();
const golden = (path: string) => new URL(`../golden/${path}`, import.meta.url).pathname;
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const model = openModel(TINY_LLAMA);
const text = new URL("../../samples/text.txt", import.meta.url).pathname;
const tokens = createTokenizer(model.vocab).encode(readFileSync(text, "utf8"));
/** Of two blocks: what depends on threads or an interruption does so in these. */
const [small] = pruneLayers(model, undefined, [1, 2]);
const source = { model: small, text, tokens };
const context = 32;

describe("what a rounding does is what it does in the whole model", () => {
  /** Every tensor of `names` rounded alone: by the suffix of the model, and in a file of its own. */
  async function compare(
    path: string,
    ids: Int32Array,
    names: readonly string[],
    type: DTypeName,
    imatrixPath?: string,
  ) {
    const own = openModel(path);
    const imatrix = imatrixPath === undefined ? undefined : openImatrix(imatrixPath);
    const importances = imatrix && importancesOf(own.tensors, imatrix);
    const chunks = [ids.slice(0, context), ids.slice(context, 2 * context)];
    const perturbations = own.tensors.flatMap((tensor, i) =>
      names.includes(tensor.name) ? [{ tensor, dtype: type, weights: importances?.[i] }] : [],
    );
    expect(perturbations.length).toBe(names.length);
    const klds = perturbations.map(() => [0, 0]);
    await measureSensitivity(own, chunks, perturbations, {
      threads: 2,
      scratch: join(folder, "scratch"),
      isDone: () => false,
      onBatch() {},
      onChunk: (perturbation, chunk, kld) => {
        klds[perturbation]![chunk] = kld;
      },
    });
    for (const [i, { tensor }] of perturbations.entries()) {
      const file = join(folder, "one.gguf");
      const overrides = [{ pattern: tensor.name, names: new RegExp(`^${tensor.name}$`), dtype: type }];
      await execute(planQuantize(own, findRecipe("F32"), { overrides, imatrix }), file, {
        threads: 0,
        force: true,
      });
      const whole = await evaluatePerplexity(openModel(file), ids.slice(0, 2 * context), {
        context,
        fullWindow: true,
        activations: "f32",
        base: own,
        threads: 0,
      });
      const expected = whole.chunkMeans.map(({ base }) => base!.kld);
      expect(Math.max(...expected), tensor.name).toBeGreaterThan(0);
      expect(klds[i], tensor.name).toEqual(expected);
    }
  }

  test("samples/tiny-llama, with an importance matrix", async () => {
    const names = ["token_embd", "blk.0.attn_q", "blk.1.attn_output", "blk.3.ffn_down", "output"];
    const weights = names.map((name) => `${name}.weight`);
    await compare(TINY_LLAMA, tokens, weights, "Q3_K", golden("quantize/tiny-llama.imatrix.gguf"));
  });

  // Tied outputs, learned positions, fused and grouped heads, ALiBi, norms after, experts, prefixes, state spaces.
  test.each(["gpt2", "falcon-7b", "mpt", "gemma2", "qwen2-moe", "chatglm", "mamba"])("%s", async (family) => {
    const path = golden(`families/${family}`);
    const ids = Int32Array.from(JSON.parse(readFileSync(join(path, "reference.json"), "utf8")).tokens);
    const enough = Int32Array.from({ length: 2 * context }, (_, i) => ids[i % ids.length]!);
    const names = openModel(path)
      .tensors.filter(isQuantizable)
      .map(({ name }) => name);
    const fitting = openModel(path).tensors.filter(
      ({ name, shape }) => names.includes(name) && shape.at(-1)! % 32 === 0,
    );
    await compare(
      path,
      enough,
      fitting.map(({ name }) => name),
      "Q4_0",
    );
  });
});

const few: WriteSensitivityOptions = { context, chunks: 3, bos: 1, types: ["Q3_K", "Q6_K"] };

describe("the file", () => {
  const whole = join(folder, "whole.json");
  const imatrix = openImatrix(golden("quantize/tiny-llama.imatrix.gguf"));

  async function expected(): Promise<string> {
    if (!existsSync(whole)) await writeSensitivity(whole, source, { ...few, imatrix, threads: 0 });
    return sha256(whole);
  }

  test("says each tensor's divergence, that of Q6_K below Q3_K's, and comes back as it was", async () => {
    await expected();
    const read = openSensitivity(whole);
    expect(read).toMatchObject({ architecture: "llama", context, chunks: 3, text });
    expect([...read.tensors.keys()]).toEqual(small.tensors.filter(isQuantizable).map(({ name }) => name));
    for (const { kld } of read.tensors.values()) {
      expect(kld.get("Q6_K")).toBeGreaterThan(0);
      expect(kld.get("Q3_K")).toBeGreaterThan(3 * kld.get("Q6_K")!);
    }
    expect(Buffer.compare(sensitivityFile(read), readFileSync(whole))).toBe(0);
  });

  test("is the same for every number of threads and any memory", async () => {
    const output = join(folder, "again.json");
    for (const options of [{ threads: 1 }, { threads: 3, maxMemory: 1 }]) {
      await writeSensitivity(output, source, { ...few, imatrix, ...options, force: true });
      expect(sha256(output)).toBe(await expected());
    }
  });

  test.each([0.1, 0.7])("stopped after %d of the work and resumed, is the same", async (share) => {
    const output = join(folder, `stopped-${share}.json`);
    const controller = new AbortController();
    const onProgress = (done: number, total: number) => {
      if (done >= share * total) controller.abort(new LlqError("interrupted", "stopped"));
    };
    const options = { ...few, imatrix };
    // Memory for one chunk at a time at first, then for all of them; or the other way round.
    const [before, after] = share < 0.5 ? [1, undefined] : [undefined, 1];
    const stopped = writeSensitivity(output, source, {
      ...options,
      threads: 2,
      maxMemory: before,
      onProgress,
      signal: controller.signal,
    });
    await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
    expect(existsSync(output)).toBe(false);
    if (share > 0.1) {
      const turned = new Map([...imatrix.entries].map(([name, values]) => [name, values.toReversed()]));
      const others: WriteSensitivityOptions[] = [
        { ...options, chunks: 2 },
        { ...options, types: ["Q3_K", "Q5_K"] },
        { ...options, imatrix: { ...imatrix, entries: turned } },
      ];
      for (const more of others) {
        const other = writeSensitivity(output, source, { ...more, threads: 0, resume: true });
        await expect(other).rejects.toThrow(/was left by other options/);
      }
    }
    const { resumed } = await writeSensitivity(output, source, {
      ...options,
      threads: 1,
      maxMemory: after,
      resume: true,
      force: true,
    });
    expect(resumed).toBeGreaterThan(0);
    expect(sha256(output)).toBe(await expected());
    expect(readdirSync(folder).filter((name) => name.startsWith(`stopped-${share}.json.`))).toEqual([]);
  });

  const row = { name: "a", shape: [2, 2], kld: { Q4_K: 0.1 } };
  const sound = {
    llq: "sensitivity 1",
    architecture: "llama",
    fingerprint: "0".repeat(64),
    text: "t",
    context: 4,
    chunks: 1,
    imatrix: null,
    tensors: [row],
  };

  test.each<[string, unknown, RegExp]>([
    ["another format", { ...sound, llq: "sensitivity 2" }, /no sensitivities: llq/],
    ["no tensors", { ...sound, tensors: [] }, /tensors/],
    ["a tensor twice", { ...sound, tensors: [row, row] }, /tensor a appears twice/],
    ["a type that is none", { ...sound, tensors: [{ ...row, kld: { Q9: 1 } }] }, /type "Q9" is unknown/],
    ["a negative divergence", { ...sound, tensors: [{ ...row, kld: { Q4_K: -1 } }] }, /kld\.Q4_K/],
    ["an infinite one", { ...sound, tensors: [{ ...row, kld: { Q4_K: null } }] }, /kld\.Q4_K/],
    ["no measurement", { ...sound, tensors: [{ ...row, kld: {} }] }, /has no measurement/],
    ["a shape of nothing", { ...sound, tensors: [{ ...row, shape: [0] }] }, /shape/],
    [
      "a name that cannot be printed",
      { ...sound, tensors: [{ ...row, name: "\n" }] },
      /the name of a tensor/,
    ],
  ])("with %s is refused", (_, content, message) => {
    expect(refusal(() => parseSensitivity("x.json", Buffer.from(JSON.stringify(sound))))).toBe("accepted");
    const text = JSON.stringify(content).replace('{"Q4_K":null}', '{"Q4_K":1e999}');
    expect(refusal(() => parseSensitivity("x.json", Buffer.from(text)))).toMatch(message);
    expect(refusal(() => parseSensitivity("x.json", Buffer.from(text)))).toMatch(/^bad-input: x\.json: /);
  });

  test.each(TARGETS.filter(({ name }) => name === "sensitivity"))("20000 damaged files", (target) => {
    const { accepted, refused } = attack(target, 20_000, 1);
    expect(accepted).toBeGreaterThan(500);
    expect(refused).toBeGreaterThan(1000);
  });

  test("is refused when the disk loses a write to the file of rounded tensors", async () => {
    const path = join(folder, "lost");
    class LosingPool extends WorkerPool {
      override async run<J, R>(kind: JobKind<J, R>, job: J): Promise<R> {
        const result = await super.run(kind, job);
        if (kind.name === "encode") writeFileSync(path, new Uint8Array(16), { flag: "r+" });
        return result;
      }
    }
    const scratch = new Scratch(path);
    const tensor = small.tensors.find(isQuantizable)!;
    await withSession(small, { threads: 0, activations: "f32" }, async (session) => {
      const perturb = (own: Session) =>
        scratch.perturb(own, small, { tensor, dtype: "Q4_K", weights: undefined }, 0);
      await perturb(session);
      const losing = { ...session, pool: new LosingPool(0) };
      await expect(perturb(losing)).rejects.toThrow(`${tensor.name} reads back other than it was written`);
    });
    scratch.close();
  });

  test("is not written over an input, or a file that exists", async () => {
    writeFileSync(join(folder, "there.json"), "");
    const run = (output: string) => writeSensitivity(output, source, few);
    await expect(run(join(folder, "there.json"))).rejects.toThrow(/exists already/);
    await expect(run(text)).rejects.toThrow(/is an input too/);
  });
});
