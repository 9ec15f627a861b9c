import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { openModel } from "../../src/model.js";
import { FakeHub, sha256 } from "../support/hub-server.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();
const WEIGHTS = "model.safetensors";

const hub = new FakeHub({});
await hub.start();
afterAll(() => hub.stop());

let home: string;
let homes = 0;
beforeEach(() => {
  hub.requests.length = 0;
  hub.token = undefined;
  hub.fault = () => undefined;
  hub.files.clear();
  for (const name of readdirSync(TINY_LLAMA)) hub.files.set(name, readFileSync(join(TINY_LLAMA, name)));
  home = join(folder, `home-${homes++}`);
});

describe("commands take hf:", () => {
  const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;

  /** Runs the program; the Hub is in this process, which must not wait for it without listening. */
  async function llq(args: string[], env: Record<string, string> = {}, uid?: number) {
    const own = { HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_TOKEN: "", ...env };
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: folder,
      env: { ...process.env, ...own },
      ...(uid !== undefined && { uid }),
    });
    const [stdout, stderr, [status]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    return { status, stdout, stderr };
  }

  test("convert gives the bytes that a folder gives, but for the name", async () => {
    const fetched = await llq(["convert", "hf:test/model", "-o", "fetched.gguf"]);
    expect({ ...fetched, stdout: "" }).toEqual({ status: 0, stdout: "", stderr: "" });
    await llq(["convert", TINY_LLAMA, "-o", "local.gguf"]);
    const [a, b] = ["fetched.gguf", "local.gguf"].map((file) => openModel(join(folder, file)));
    expect(a!.metadata.get("general.name")!.value).toBe("model");
    expect(a!.metadata.get("llq.source.blobs")!.value).toEqual([sha256(hub.files.get(WEIGHTS)!)]);
    const verdict = await llq(["verify", "fetched.gguf", "--source", "hf:test/model@v1"]);
    expect(verdict).toMatchObject({ status: 0, stdout: expect.stringContaining("39 to the byte") });
    expect(a!.tensors.map(({ sources }) => sources[0]!.byteLength)).toEqual(
      b!.tensors.map(({ sources }) => sources[0]!.byteLength),
    );
  });

  test("inspect and eval-ppl, offline too, under the name that was given", async () => {
    await llq(["convert", "hf:test/model", "-o", "online.gguf"]);
    const offline = { HF_HUB_OFFLINE: "1", HF_ENDPOINT: "http://127.0.0.1:9" };
    const inspected = await llq(["inspect", "hf:test/model", "--json"], offline);
    expect(JSON.parse(inspected.stdout)).toMatchObject({ path: "hf:test/model", totals: { tensors: 39 } });
    const sample = new URL("../../samples/text.txt", import.meta.url).pathname;
    const args = ["eval-ppl", "hf:test/model", sample, "--context", "64", "--chunks", "2", "--json"];
    expect(JSON.parse((await llq(args, offline)).stdout)).toMatchObject({ model: "hf:test/model" });
  });

  test("eight runs on one empty cache", async () => {
    const runs = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        llq(["convert", "hf:test/model", "-j", "1", "-o", `eight-${i}.gguf`]),
      ),
    );
    expect(runs.map(({ status, stderr }) => [status, stderr])).toEqual(runs.map(() => [0, ""]));
    const first = readFileSync(join(folder, "eight-0.gguf"));
    for (let i = 1; i < 8; i++)
      expect(readFileSync(join(folder, `eight-${i}.gguf`)).equals(first)).toBe(true);
    expect(readdirSync(join(home, "hub/.locks/models--test--model"))).toEqual([]);
  });

  test("a cache that others only read, and that has everything", async () => {
    await llq(["convert", "hf:test/model", "-o", "first.gguf"]);
    for (const path of [
      home,
      ...readdirSync(home, { recursive: true, encoding: "utf8" }).map((each) => join(home, each)),
    ]) {
      if (lstatSync(path).isDirectory()) chmodSync(path, 0o555);
    }
    const isRoot = process.getuid?.() === 0; // whom no mode keeps from writing
    const args = [
      "eval-ppl",
      "hf:test/model@v1",
      new URL("../../samples/text.txt", import.meta.url).pathname,
    ];
    chmodSync(folder, 0o755);
    const run = await llq([...args, "-c", "16", "--chunks", "2"], {}, isRoot ? 65534 : undefined);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(readdirSync(join(home, "hub/models--test--model/refs"))).toEqual(["main"]);
    for (const path of readdirSync(home, { recursive: true, encoding: "utf8" })) {
      if (lstatSync(join(home, path)).isDirectory()) chmodSync(join(home, path), 0o755);
    }
  });

  test("inspect reads headers only, and leaves nothing behind", async () => {
    const size = hub.files.get(WEIGHTS)!.length;
    const { stdout } = await llq(["inspect", "hf:test/model", "--json"], { TMPDIR: folder });
    const local = JSON.parse((await llq(["inspect", TINY_LLAMA, "--json"])).stdout);
    const found = JSON.parse(stdout);
    expect(found).toEqual({
      ...local,
      path: "hf:test/model",
      files: [`hf:test/model/${WEIGHTS}`],
      metadata: { ...local.metadata, "general.name": "model" },
    });
    expect(hub.fetches(WEIGHTS).map(({ range }) => range)).toEqual([`bytes=0-${2 ** 20 - 1}`]);
    expect(size).toBeGreaterThan(2 ** 20);
    expect(existsSync(join(home, "hub/models--test--model/blobs", sha256(hub.files.get(WEIGHTS)!)))).toBe(
      false,
    );
    expect(readdirSync(folder).filter((name) => name.startsWith("llq-headers"))).toEqual([]);
  });

  test("fit needs config.json of a folder, and the header of a GGUF file", async () => {
    await llq(["convert", TINY_LLAMA, "-o", "tiny.gguf", "--force"]);
    hub.files.set("gguf/tiny.gguf", readFileSync(join(folder, "tiny.gguf")));
    for (const model of ["hf:test/model", "hf:test/model/gguf/tiny.gguf"]) {
      hub.requests.length = 0;
      const { stdout } = await llq(["fit", model, "--memory", "1GB", "--json"]);
      expect(JSON.parse(stdout)).toMatchObject({ model, weights: 4065536 });
      const ranges = hub.requests.filter(({ path }) => !path.startsWith("/api/")).map(({ range }) => range);
      expect(ranges).toEqual([model.endsWith("gguf") ? `bytes=0-${2 ** 20 - 1}` : undefined]);
    }
  });

  test("a header longer than the first piece is asked for again", async () => {
    const file = join(folder, "long.gguf");
    const note = `general.description=str:${"x".repeat(100_000)}`;
    const keys = Array.from({ length: 12 }, (_, i) => ["--override-kv", note.replace("=", `.${i}=`)]).flat();
    await llq(["quantize", TINY_LLAMA, "-o", file, "--bits", "8", ...keys]);
    hub.files.set("long.gguf", readFileSync(file));
    const { status } = await llq(["fit", "hf:test/model/long.gguf", "--memory", "1GB"]);
    expect({ status, requests: hub.fetches("long.gguf").length }).toEqual({ status: 0, requests: 2 });
  });

  test("an output that exists is refused before anything is fetched", async () => {
    writeFileSync(join(folder, "there.gguf"), "mine");
    const { status, stderr } = await llq(["quantize", "hf:test/model", "-o", "there.gguf", "--bits", "4"]);
    expect({ status, stderr }).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("exists already"),
    });
    expect(hub.requests).toEqual([]);
  });

  test.each([
    ["hf:test", 2, /names no repository of the Hub/],
    ["hf:test/other", 3, /no such repository/],
    ["hf:test/model/none.gguf", 3, /there is no none\.gguf in the repository/],
  ])("%s ends with status %d", async (model, status, message) => {
    const result = await llq(["inspect", model]);
    expect(result).toMatchObject({ status, stdout: "" });
    expect(result.stderr).toMatch(message);
  });

  test("a download that was killed is gone on from, and its lock is broken", async () => {
    const size = hub.files.get(WEIGHTS)!.length;
    hub.fault = ({ path, before }) =>
      path === WEIGHTS && before === 0 ? { stallAfter: size >> 1 } : undefined;
    const own = { HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_TOKEN: "" };
    const args = [CLI, "convert", "hf:test/model", "-o", "killed.gguf"];
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: { ...process.env, ...own },
    });
    const blobs = join(home, "hub/models--test--model/blobs");
    const partial = join(blobs, `${sha256(hub.files.get(WEIGHTS)!)}.llq-incomplete`);
    await expect
      .poll(() => (existsSync(partial) ? statSync(partial).size : 0), { timeout: 20_000 })
      .toBe(size >> 1);
    child.kill("SIGKILL");
    await once(child, "close");
    expect((await llq(args.slice(1))).status).toBe(0);
    expect(hub.fetches(WEIGHTS).map(({ range }) => range)).toEqual([undefined, `bytes=${size >> 1}-`]);
    expect(readdirSync(blobs).some((name) => name.endsWith("incomplete"))).toBe(false);
    expect(readdirSync(join(home, "hub/.locks/models--test--model"))).toEqual([]);
  });

  test("a refusal ends with status 6", async () => {
    hub.token = "hf_right";
    const { status, stderr } = await llq(["inspect", "hf:test/model"], { HF_TOKEN: "hf_wrong" });
    expect(status).toBe(6);
    expect(stderr).toMatch(/the token is not accepted \(status 401\)\n hint: check the name and HF_TOKEN/);
    expect(stderr).not.toContain("hf_wrong");
  });
});
