import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { fetchHeaders, type HeaderOptions } from "../../src/hub/fetch-headers.js";
import { parseHubReference } from "../../src/hub/reference.js";
import { isWholeHeader } from "../../src/hub/whole-header.js";
import { buildGguf, T } from "../support/build/build.js";
import { FakeHub, hubSettings } from "../support/hub-server.js";
import { scratchFolder } from "../support/scratch.js";

const MB = 1 << 20;
const folder = scratchFolder();

/** A file of safetensors of `size` bytes whose header ends after `header` of them. */
function safetensors(header: number, size: number): Buffer {
  const bytes = Buffer.alloc(size, 7);
  bytes.fill(" ", 8, Math.min(header, size));
  bytes.writeBigUInt64LE(BigInt(header - 8));
  bytes.write("{}", 8);
  return bytes;
}

/** A GGUF with one key, whose value is a string of `length` bytes, and no tensors. */
const gguf = (length: number) =>
  Buffer.from(buildGguf({ fields: [["general.name", T.string, "x".repeat(length)]] }).bytes);

/** A GGUF's header, without keys, that has one tensor: a row of 256 floats, which come after it. */
const ggufOfTensor = () =>
  Buffer.from(buildGguf({ tensors: [{ name: "t", dims: [256] }], alignment: 1 }).bytes);

const hub = new FakeHub({});
await hub.start();
afterAll(() => hub.stop());
beforeEach(() => hub.reset());

let caches = 0;
function headers(
  files: Readonly<Record<string, Buffer | string>>,
  others: HeaderOptions["others"] = "all",
  reference = "hf:test/model",
) {
  for (const [path, bytes] of Object.entries(files)) hub.files.set(path, Buffer.from(bytes));
  const settings = hubSettings(hub.endpoint, join(folder, `${caches++}`));
  return fetchHeaders(parseHubReference(reference), settings, { others });
}

const ranges = (path: string) => hub.fetches(path).map((request) => request.range);
const range = (end: number) => `bytes=0-${end - 1}`;

describe("how much of a file of weights is asked for", () => {
  test.each<[string, Buffer, string[]]>([
    ["a header that the first megabyte has", safetensors(100, 3 * MB), [range(MB)]],
    ["one that ends where it ends", safetensors(MB, 3 * MB), [range(MB)]],
    ["one that is a byte longer", safetensors(MB + 1, 3 * MB), [range(MB), range(3 * MB)]],
    ["a small file", safetensors(100, 5000), [range(5000)]],
    ["a small file that its header is longer than", safetensors(5000, 4000), [range(4000)]],
    ["a longer header and more behind", safetensors(2 * MB, 17 * MB), [range(MB), range(16 * MB)]],
    ["nothing at all", Buffer.alloc(0), []],
  ])("%s", async (_, bytes, asked) => {
    const { path, discard } = await headers({ "config.json": "{}", "model.safetensors": bytes });
    expect(ranges("model.safetensors")).toEqual(asked);
    const file = join(path, "model.safetensors");
    expect(statSync(file).size).toBe(bytes.length);
    // what was asked for last is there; behind it is a hole
    const known = asked.length === 0 ? 0 : Number(/\d+$/.exec(asked.at(-1)!)![0]) + 1;
    const read = readFileSync(file);
    expect(read.subarray(0, known).equals(bytes.subarray(0, known))).toBe(true);
    expect(read.subarray(known).every((byte) => byte === 0)).toBe(true);
    discard();
    expect(existsSync(dirname(path))).toBe(false);
  });

  test("of a GGUF too", async () => {
    const bytes = Buffer.concat([gguf(MB), Buffer.alloc(3 * MB)]);
    const { path, discard } = await headers({ "a.gguf": bytes }, "all", "hf:test/model/a.gguf");
    expect(ranges("a.gguf")).toEqual([range(MB), range(bytes.length)]);
    expect(basename(path)).toBe("a.gguf");
    expect(statSync(path).size).toBe(bytes.length);
    discard();
  });
});

describe("what is fetched besides", () => {
  const FILES = {
    "config.json": '{"a":1}',
    "tokenizer.json": "{}",
    "model.safetensors": safetensors(100, 2000),
  };

  test("all that is not weights, in a folder of the model's name", async () => {
    const { path, discard } = await headers(FILES);
    expect(basename(path)).toBe("model");
    expect(readdirSync(path).sort()).toEqual(Object.keys(FILES).sort());
    expect(readFileSync(join(path, "config.json"), "utf8")).toBe('{"a":1}');
    discard();
  });

  test("the configuration alone, where that is enough", async () => {
    const { path, discard } = await headers(FILES, "config");
    expect(readdirSync(path)).toEqual(["config.json"]);
    expect(hub.fetches("tokenizer.json")).toEqual([]);
    expect(hub.fetches("model.safetensors")).toEqual([]);
    discard();
  });

  test("a configuration is not enough where there is none, nor where a file is asked for", async () => {
    const { "config.json": _, ...others } = FILES;
    const without = await headers(others, "config");
    expect(readdirSync(without.path).sort()).toEqual(["model.safetensors", "tokenizer.json"]);
    without.discard();
    const file = await headers(FILES, "config", "hf:test/model/model.safetensors");
    expect(readdirSync(dirname(file.path)).sort()).toEqual(Object.keys(FILES).sort());
    file.discard();
  });

  test("weights whose headers say nothing are fetched whole, unless the configuration is enough", async () => {
    const weights = Buffer.alloc(2 * MB, "zip");
    const files = { "config.json": "{}", "pytorch_model.bin": weights };
    const whole = await headers(files);
    whole.discard();
    // in the cache, where it stays
    expect(readFileSync(join(whole.path, "pytorch_model.bin")).equals(weights)).toBe(true);
    hub.requests.length = 0;
    const { path, discard } = await headers(files, "config");
    expect(readdirSync(path)).toEqual(["config.json"]);
    expect(hub.fetches("pytorch_model.bin")).toEqual([]);
    discard();
  });

  test("an index, and templates that no reader takes from there", async () => {
    const index = '{"weight_map":{}}';
    const { path, discard } = await headers({
      "config.json": "{}",
      "additional_chat_templates/tool.jinja": "x",
      "model.safetensors.index.json": index,
      "model-00001-of-00002.safetensors": safetensors(100, 2000),
      "model-00002-of-00002.safetensors": safetensors(100, 3000),
    });
    expect(readdirSync(path).sort()).toEqual([
      "config.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
    ]);
    expect(readFileSync(join(path, "model.safetensors.index.json"), "utf8")).toBe(index);
    discard();
  });

  test("nothing is left where a header cannot be had", async () => {
    const temporary = join(folder, "temporary");
    mkdirSync(temporary);
    for (const name of ["TMPDIR", "TEMP"]) vi.stubEnv(name, temporary);
    hub.fault = ({ path }) => (path === "model.safetensors" ? { status: 404 } : undefined);
    await expect(headers(FILES)).rejects.toMatchObject({ code: "bad-input" });
    hub.fault = () => undefined;
    vi.unstubAllEnvs();
    expect(readdirSync(temporary)).toEqual([]);
  });
});

test.each<[string, Buffer, boolean]>([
  ["nothing", Buffer.alloc(0), false],
  ["seven bytes", Buffer.alloc(7), false],
  ["eight bytes that promise none", Buffer.alloc(8), true],
  ["safetensors up to their header's end", safetensors(100, 100), true],
  ["a byte less", safetensors(100, 100).subarray(0, 99), false],
  ["a GGUF's header", gguf(50), true],
  ["a byte less of it", gguf(50).subarray(0, -1), false],
  ["a GGUF's header without its tensor", ggufOfTensor(), true],
  ["a byte less of that", ggufOfTensor().subarray(0, -1), false],
  ["a GGUF's first eight bytes", gguf(50).subarray(0, 8), false],
])("%s: whole is %s", (_, bytes, whole) => {
  expect(isWholeHeader(bytes)).toBe(whole);
  // wherever it lies in memory
  const moved = Buffer.concat([Buffer.alloc(3, 255), bytes]);
  expect(isWholeHeader(moved.subarray(3))).toBe(whole);
});
