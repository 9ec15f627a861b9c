import { execFile } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { copyTinyLlama, scratchFolder } from "./support/scratch.js";

// What people type who have used other tools, or have half of a model: each line of mistakes.json is one of these, with
// the status it must end with and what must be said; the words are of what to do next.

interface Mistake {
  /** What is wrong. */
  readonly mistake: string;
  /** The command line, run where `setUp` has made files. */
  readonly run: string;
  readonly status: number;
  /** In stderr, white space in one piece. */
  readonly says: readonly string[];
  /** The same in Chinese. */
  readonly saysInChinese: readonly string[];
}

const CLI = new URL("../dist/program/cli.js", import.meta.url).pathname;
const here = (path: string) => new URL(path, import.meta.url).pathname;
const mistakes = JSON.parse(readFileSync(here("./mistakes.json"), "utf8")) as readonly Mistake[];
const folder = scratchFolder();
const at = (path: string) => join(folder, path);

function llq(
  args: readonly string[],
  lang = "C",
): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, HF_ENDPOINT: "http://127.0.0.1:9", LC_ALL: lang }; // nothing is fetched
    const child = execFile(process.execPath, [CLI, ...args], { cwd: folder, env }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.end();
  });
}

/** An importance matrix of one tensor, in the form of .dat files. */
function foreignImatrix(name: string, columns: number): Buffer {
  const i32 = (value: number) => Buffer.from(Int32Array.of(value).buffer);
  const values = Buffer.from(new Float32Array(columns).fill(1).buffer);
  return Buffer.concat([i32(1), i32(name.length), Buffer.from(name), i32(1), i32(columns), values]);
}

const LFS_POINTER =
  "version https://git-lfs.github.com/spec/v1\n" +
  "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 2471645608\n";
const HTML = "<!doctype html>\n<html><head><title>401</title></head><body>Sign in</body></html>\n";

async function setUp(): Promise<void> {
  copyTinyLlama(folder, "model");
  copyFileSync(here("../samples/text.txt"), at("text.txt"));
  writeFileSync(at("empty.txt"), "");
  writeFileSync(at("short.txt"), "One sentence.\n");
  writeFileSync(at("phrases.txt"), "The cat sat on the mat. ".repeat(8));
  writeFileSync(at("taken.gguf"), "");
  for (const name of ["weights-only", "lfs", "web", "shard-missing", "weightless"])
    copyTinyLlama(folder, name);
  rmSync(at("weights-only/config.json"));
  writeFileSync(at("lfs/model.safetensors"), LFS_POINTER);
  writeFileSync(at("lfs.gguf"), LFS_POINTER);
  writeFileSync(at("web/config.json"), HTML);
  writeFileSync(at("web.gguf"), HTML);
  rmSync(at("shard-missing/model.safetensors"));
  const weight_map = { "model.norm.weight": "model-00002-of-00002.safetensors" };
  writeFileSync(
    at("shard-missing/model.safetensors.index.json"),
    JSON.stringify({ metadata: {}, weight_map }),
  );
  rmSync(at("weightless/model.safetensors"));
  mkdirSync(at("nothing-in-it"));
  writeFileSync(at("old.bin"), Buffer.concat([Buffer.from("tjgg"), Buffer.alloc(64)]));
  writeFileSync(at("foreign.dat"), foreignImatrix("blk.0.attn_q.weight", 64));
  writeFileSync(at("elsewhere.dat"), foreignImatrix("blk.77.ssm_in.weight", 64));
  cpSync(here("./golden/lora/plain"), at("adapter"), { recursive: true });
  expect(await llq(["quantize", "model", "-o", "model.gguf", "--type", "Q8_0"])).toMatchObject({ status: 0 });
  expect(await llq(["split", "model.gguf", "-o", "parts.gguf", "--max-tensors", "16"])).toMatchObject({
    status: 0,
  });
  rmSync(at("parts-00002-of-00003.gguf"));
  const whole = readFileSync(at("model.gguf"));
  writeFileSync(at("half.gguf"), whole.subarray(0, whole.length >> 1));
}

describe("mistakes are answered with what to do next", () => {
  beforeAll(setUp);

  test("there are sixty", () => {
    expect(mistakes.length).toBeGreaterThanOrEqual(60);
  });

  test.concurrent.each(mistakes)("$mistake: llq $run", async ({ run, status, says, saysInChinese }) => {
    for (const [lang, expected] of [
      ["C", says],
      ["zh_CN.UTF-8", saysInChinese],
    ] as const) {
      const result = await llq(run.split(" "), lang);
      const said = result.stderr.replace(/\s+/g, " ");
      expect(expected).not.toEqual([]);
      for (const words of expected) expect(said).toContain(words);
      expect(said).not.toMatch(/bug in llq|llq 的缺陷/);
      expect(result.status).toBe(status);
      expect(result.stdout === "").toBe(status !== 0);
    }
  });
});
