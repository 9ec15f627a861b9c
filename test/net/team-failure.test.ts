import { appendFileSync, copyFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { generate } from "../../src/generate/generate.js";
import { loadEngine } from "../../src/generate/load-engine.js";
import { openModel } from "../../src/model.js";
import type { MemberCall, MemberJob } from "../../src/net/team/job.js";
import { Team } from "../../src/net/team/team.js";
import { WorkerPool } from "../../src/run/threads/pool.js";
import { changedCheckpoint } from "../support/checkpoint.js";
import { scratchFolder } from "../support/scratch.js";
import { bits, FAMILIES, feed, withTeam } from "../support/team.js";

const folder = scratchFolder();
const LLAMA = join(FAMILIES, "llama");
const TOKENS = Int32Array.of(1, 7, 9, 11);
/** Milliseconds: far more than all of this takes, far less than for ever. */
const timeout = 20_000;

afterEach(() => void vi.restoreAllMocks());

/** From now on one thread is told something else. */
function misinform(thread: number, change: (call: MemberCall) => MemberCall): void {
  const { runOnEach } = WorkerPool.prototype;
  vi.spyOn(WorkerPool.prototype, "runOnEach").mockImplementation(function (this: WorkerPool, kind, jobs) {
    const told = jobs.map((job, i) => {
      const { team, call } = job as MemberJob;
      return i === thread ? { team, call: change(call) } : job;
    });
    return runOnEach.call(this, kind, told as typeof jobs) as ReturnType<typeof runOnEach<never, never>>;
  });
}

const noSuchToken = (call: MemberCall): MemberCall =>
  call.kind === "step" ? { ...call, step: { ...call.step, tokens: new Int32Array(4).fill(1 << 20) } } : call;

describe("a thread that fails", { timeout }, () => {
  test.each([
    [2, 0],
    [2, 1],
    [3, 1],
  ])("of %i, number %i: the others do not wait, its error is what comes", async (threads, thread) => {
    const team = await Team.load(openModel(LLAMA), { context: 64, threads });
    misinform(thread, noSuchToken);
    await expect(team.step([0], TOKENS)).rejects.toThrow("token_embd.weight");
    vi.restoreAllMocks();
    await expect(team.step([0], TOKENS)).rejects.toThrow("failed before");
    expect(team.truncate(0, 0)).toBe(true);
    await team.close();
  });

  test("while it loads", async () => {
    misinform(1, (call) => (call.kind === "layer" ? { ...call, layer: 99 } : call));
    await expect(Team.load(openModel(LLAMA), { context: 64, threads: 2 })).rejects.toThrow();
  });

  test.each([0, 2])("under generate(), %i threads", async (threads) => {
    const model = openModel(LLAMA);
    const engine = await loadEngine(model, { context: 64, threads });
    misinform(Math.max(0, threads - 1), noSuchToken);
    const first = generate(engine, model.vocab, TOKENS)[Symbol.asyncIterator]().next();
    await expect(first).rejects.toMatchObject({ code: "bad-input" });
    await engine.close();
  });

  test.each([0, 2])("a file that was cut short behind the loading, %i threads", async (threads) => {
    const file = join(folder, `cut-${threads}.gguf`);
    copyFileSync(join(LLAMA, "fused-qkv.gguf"), file);
    const team = await Team.load(openModel(file), { context: 64, threads });
    truncateSync(file, 4096);
    await expect(team.step([0], TOKENS)).rejects.toMatchObject({ code: "bad-input" });
    await team.close();
  });
});

describe("a team is refused", { timeout }, () => {
  /** LLAMA with one weight of the first feed-forward, or of the embedding, so large. */
  const withWeight = (name: string, value: number) =>
    changedCheckpoint(LLAMA, join(folder, `${name}-${value}`), {
      tensors: (all) => {
        const { dtype, shape, bytes } = all.get(name)!;
        expect(dtype).toBe("BF16");
        const changed = Uint8Array.from(bytes);
        new DataView(changed.buffer).setUint16(2 * 70, bf16(value), true);
        return new Map(all).set(name, { dtype, shape, bytes: changed });
      },
    });
  const bf16 = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16;

  test.each([
    ["F16", "model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight", 2 ** 17],
    ["Q4_0", "model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight", 2 ** 30],
    ["Q8_0", "model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight", 2 ** 30],
    ["F16", "model.embed_tokens.weight", "token_embd.weight", 2 ** 17],
  ] as const)("when a weight becomes Infinity in %s on the way in: %s", async (type, stored, name, value) => {
    const model = openModel(withWeight(stored, value));
    const types = new Map([[name, type]]);
    const loadAndStep = async () => {
      const team = await Team.load(model, { context: 64, threads: 2, types });
      // Rows of the embedding are rounded as they are looked up.
      await team.step([0], Int32Array.of(0, 1, 2, 3)).finally(() => team.close());
    };
    await expect(loadAndStep()).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringMatching(`tensor ${name}: row \\d+, column \\d+: the weight is ${value}, `),
    });
  });

  test("when a file changes while it loads", async () => {
    const file = join(folder, "changes.gguf");
    copyFileSync(join(LLAMA, "fused-qkv.gguf"), file);
    const loading = Team.load(openModel(file), {
      ...{ context: 64, threads: 1 },
      onProgress: () => appendFileSync(file, "more"),
    });
    await expect(loading).rejects.toMatchObject({
      code: "bad-input",
      message: `${file}: has changed while it was read`,
    });
  });
});

describe("a team that is stopped", { timeout }, () => {
  test.each([0, 1, 2])("while it loads throws the signal's reason, %i threads", async (threads) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const loading = Team.load(openModel(LLAMA), {
      ...{ context: 64, threads, signal: controller.signal },
      onProgress: () => controller.abort(reason),
    });
    await expect(loading).rejects.toBe(reason);
  });

  test.each([0, 2])("rejects steps that are under way, and closes twice, %i threads", async (threads) => {
    const team = await Team.load(openModel(LLAMA), { context: 64, threads });
    const step = expect(team.step([0], TOKENS)).rejects.toMatchObject({ code: "interrupted" });
    await team.close();
    await step;
    await team.close();
    expect(team.truncate(0, 0)).toBe(true); // what nobody waits for, nobody need catch
    await expect(team.step([0], TOKENS)).rejects.toMatchObject({ code: "interrupted" });
  });
});

test("steps that are not waited for give what they give alone", { timeout }, async () => {
  const tokens = [5, 6, 7, 8, 9, 10, 11, 12];
  const one = await withTeam("llama", {}, (team) => feed(team, tokens));
  const other = await withTeam("llama", {}, (team) => feed(team, [...tokens].reverse()));
  await withTeam("llama", { threads: 2, sequences: 2 }, async (team) => {
    for (let time = 0; time < 20; time++) {
      const steps = [feed(team, tokens), feed(team, [...tokens].reverse(), { sequence: 1 })];
      const [a, b] = await Promise.all(steps);
      expect([bits(a!), bits(b!)]).toEqual([bits(one), bits(other)]);
      team.truncate(0, 0);
      team.truncate(1, 0);
    }
  });
});
