import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openContainer } from "../../formats/open.js";
import { openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { pruneLayers } from "../../src/quant/prune.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { type TensorVerdict, verify } from "../../src/run/measure/verify.js";
import { execute } from "../../src/run/write/execute.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();
const good = join(folder, "good.gguf");
const source = openModel(TINY_LLAMA);

beforeAll(() => execute(planQuantize(source, findRecipe("Q8_0")), good, { threads: 0 }));

/** A copy of the good file with one tensor's bytes changed. */
function spoilt(name: string, tensor: string, change: (bytes: Buffer) => void): string {
  const { offset, byteLength } = openContainer(good).tensors.get(tensor)!;
  const file = readFileSync(good);
  change(file.subarray(offset, offset + byteLength));
  const path = join(folder, name);
  writeFileSync(path, file);
  return path;
}

/** Those that are not what quantizing afresh gives. */
async function others(path: string): Promise<TensorVerdict[]> {
  const verdicts = await verify(openModel(path), source, { threads: 2 });
  expect(verdicts.length).toBe(39);
  return verdicts.filter(({ verdict }) => verdict !== "identical");
}

describe("verify", () => {
  test("finds nothing wrong with what quantize wrote, down to the byte", async () => {
    expect(await others(good)).toEqual([]);
  });

  test("calls a slip of one quant close", async () => {
    const path = spoilt("slip.gguf", "blk.1.ffn_up.weight", (bytes) =>
      bytes.writeInt8(bytes.readInt8(2) ^ 1, 2),
    );
    expect(await others(path)).toMatchObject([{ name: "blk.1.ffn_up.weight", verdict: "close", faults: [] }]);
  });

  test.each<[string, (bytes: Buffer) => void, RegExp]>([
    ["doubled scales", doubleScales, /relative RMS error 1\.00, quantizing afresh gives 0\.00/],
    ["nothing but zeros", (bytes) => bytes.fill(0), /every weight is zero/],
    ["an infinite scale", (bytes) => bytes.writeUInt16LE(0x7c00, 34 * 5), /weights are infinite or NaN/],
    ["rows of another tensor's", (bytes) => bytes.copyWithin(0, bytes.length / 2), /relative RMS error/],
  ])("names the tensor with %s", async (name, change, fault) => {
    const path = spoilt(`${name}.gguf`, "blk.2.attn_v.weight", change);
    const [verdict, ...rest] = await others(path);
    expect(rest).toEqual([]);
    expect(verdict).toMatchObject({ name: "blk.2.attn_v.weight", verdict: "wrong" });
    expect(verdict!.faults.join()).toMatch(fault);
  });

  test("takes up to twice the error that rounding leaves, and no more", async () => {
    // Rounding to steps of d leaves d / √12; a slip of one step in one of `every` weights adds d² / every to its square:
    // √(1/12 + 1/8) is 1.6 times as much, √(1/12 + 1/2) 2.6 times, √(1/12 + 1) 3.6 times.
    const slips = (every: number) =>
      spoilt(`slips-${every}.gguf`, "blk.0.ffn_gate.weight", (bytes) => {
        for (let i = 0, n = 0; i < bytes.length; i++) if (i % 34 > 1 && n++ % every === 0) bytes[i]! ^= 1;
      });
    const verdicts = await Promise.all(
      [8, 2, 1].map(async (every) => (await others(slips(every)))[0]!.verdict),
    );
    expect(verdicts).toEqual(["close", "wrong", "wrong"]);
  });

  test("names what is missing, and what the source has not", async () => {
    const [pruned] = pruneLayers(source, undefined, [3]);
    const own = pruned.tensors.map(({ name }) => name);
    const gone = source.tensors.map(({ name }) => name).filter((name) => !own.includes(name));
    expect(gone).toHaveLength(9);
    const output = join(folder, "pruned.gguf");
    await execute(planQuantize(pruned, findRecipe("Q8_0")), output, { threads: 0 });
    const faults = async (path: string, from: typeof source) =>
      (await verify(openModel(path), from, { threads: 0 })).flatMap(({ name, verdict, faults }) =>
        verdict === "wrong" ? [[name, ...faults]] : [],
      );
    expect(await faults(output, source)).toEqual(gone.map((name) => [name, "is missing"]));
    expect(await faults(good, pruned)).toEqual(gone.map((name) => [name, "is not in the source"]));
  });

  test("as a command: status 0, or 1 and the tensor's name", () => {
    const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;
    const run = (file: string) =>
      spawnSync(process.execPath, [cli, "verify", file, "-s", TINY_LLAMA], { encoding: "utf8" });
    expect(run(good)).toMatchObject({
      status: 0,
      stdout: `${good}: 39 tensors are right, 39 to the byte, 0 within bounds\n`,
    });
    const { status, stdout, stderr } = run(spoilt("cli.gguf", "output.weight", doubleScales));
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `error: ${join(folder, "cli.gguf")}: 1 of 39 tensors are wrong\n`,
    });
    expect(stdout).toMatch(/^output\.weight \(Q8_0\): relative RMS error/);
  });
});

function doubleScales(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += 34) bytes.writeUInt16LE(bytes.readUInt16LE(at) + 0x0400, at);
}
