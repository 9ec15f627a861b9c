import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { EXIT_CODE, LlqError } from "../../formats/errors.js";
import { type FetchOptions, fetchModel } from "../../src/hub/fetch-model.js";
import { parseHubReference } from "../../src/hub/reference.js";
import type { HubSettings } from "../../src/hub/settings.js";
import { COMMIT, FakeHub, type Fault, gitSha1, hubSettings, sha256 } from "../support/hub-server.js";
import { Random } from "../support/random.js";
import { scratchFolder } from "../support/scratch.js";

const folder = scratchFolder();

function randomBytes(length: number, seed: number): Buffer {
  const random = new Random(seed);
  return Buffer.from(Array.from({ length }, () => random.u32() & 255));
}

const WEIGHTS = "model.safetensors";
const bytes = randomBytes(300_000, 1);
const REPOSITORY = {
  ".gitattributes": "*.safetensors filter=lfs",
  "README.md": "A model.",
  "config.json": "{}",
  "tokenizer.json": randomBytes(5_000, 2),
  [WEIGHTS]: bytes,
  "pytorch_model.bin": randomBytes(2_000, 3),
  "onnx/model.onnx": randomBytes(2_000, 4),
};
const NEEDED = ["config.json", "tokenizer.json", WEIGHTS];

const hub = new FakeHub(REPOSITORY);
await hub.start();
afterAll(() => hub.stop());

let settings: HubSettings;
let caches = 0;
beforeEach(() => {
  hub.reset(REPOSITORY);
  settings = hubSettings(hub.endpoint, join(folder, `cache-${caches++}`));
});

const get = (text = "hf:test/model", options?: FetchOptions) =>
  fetchModel(parseHubReference(text), settings, options);
const repository = () => join(settings.cache, "models--test--model");
const snapshot = () => join(repository(), "snapshots", COMMIT);
const blob = () => join(repository(), "blobs", sha256(bytes));
const partial = () => `${blob()}.llq-incomplete`;

/** The error that fetching ends with. */
async function failure(work: Promise<unknown>): Promise<LlqError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof LlqError) return error;
  throw error ?? new Error("nothing went wrong");
}

/** A fault at the requests for the weights with these numbers, from 0. */
const at = (fault: Fault, ...requests: number[]) => {
  hub.fault = ({ path, before }) => (path === WEIGHTS && requests.includes(before) ? fault : undefined);
};

/** Everything below a folder; of links, where they lead. */
function layout(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => !lstatSync(join(root, path)).isDirectory())
    .map((path) => {
      const link = lstatSync(join(root, path)).isSymbolicLink()
        ? ` -> ${readlinkSync(join(root, path))}`
        : "";
      return path + link;
    })
    .sort();
}

describe("what is fetched", () => {
  test("configuration, tokenizer and the best weights, into the layout of huggingface_hub", async () => {
    const { path, commit } = await get();
    expect({ path, commit }).toEqual({ path: snapshot(), commit: COMMIT });
    const digestOf = (name: string) => {
      const content = hub.files.get(name)!;
      return content.length < 1000 ? gitSha1(content) : sha256(content);
    };
    expect(layout(repository())).toEqual(
      [
        "refs/main",
        ...NEEDED.map((name) => `blobs/${digestOf(name)}`),
        ...NEEDED.map((name) => `snapshots/${COMMIT}/${name} -> ../../blobs/${digestOf(name)}`),
      ].sort(),
    );
    for (const name of NEEDED) expect(readFileSync(join(path, name)).equals(hub.files.get(name)!)).toBe(true);
    expect(readFileSync(join(repository(), "refs/main"), "utf8")).toBe(COMMIT);
  });

  test("the layout is byte for byte what huggingface_hub makes", async () => {
    const golden = JSON.parse(readFileSync(new URL("../golden/hub/layout.json", import.meta.url), "utf8"));
    hub.files.clear();
    for (const [path, size] of Object.entries<number>(golden.sizes)) {
      hub.files.set(path, Buffer.from(Array.from({ length: size }, (_, i) => (i * 31 + 7) & 255)));
    }
    await get();
    await get("hf:test/model@refs/pr/1");
    expect(golden.commit).toBe(COMMIT);
    expect(layout(repository())).toEqual(golden.layout);
  });

  test("nothing a second time", async () => {
    await get();
    hub.requests.length = 0;
    await get();
    expect(hub.requests.filter(({ path }) => !path.startsWith("/api/"))).toEqual([]);
  });

  test("progress counts every byte once, and ends at the total", async () => {
    at({ cutAfter: 100_000 }, 0);
    const seen: number[][] = [];
    await get("hf:test/model", { onProgress: (done, total) => seen.push([done, total]) });
    const total = NEEDED.reduce((sum, name) => sum + hub.files.get(name)!.length, 0);
    expect(seen.at(-1)).toEqual([total, total]);
    expect(seen.every(([done], i) => i === 0 || done! >= seen[i - 1]![0]!)).toBe(true);
  });

  test("revisions by branch, tag and commit", async () => {
    await get("hf:test/model@v1");
    await get("hf:test/model@refs/pr/1");
    await get(`hf:test/model@${COMMIT}`);
    expect(layout(join(repository(), "refs"))).toEqual(["refs/pr/1", "v1"]);
  });

  test("one GGUF file, with its other parts, and nothing else", async () => {
    for (const part of ["q8/m-00001-of-00002.gguf", "q8/m-00002-of-00002.gguf", "q8/n.gguf", "m.gguf"]) {
      hub.files.set(part, Buffer.from(part));
    }
    const { path } = await get("hf:test/model/q8/m-00001-of-00002.gguf");
    expect(path).toBe(join(snapshot(), "q8/m-00001-of-00002.gguf"));
    expect(layout(snapshot()).map((line) => line.split(" ")[0])).toEqual([
      "q8/m-00001-of-00002.gguf",
      "q8/m-00002-of-00002.gguf",
    ]);
    expect(readlinkSync(path)).toMatch(/^\.\.\/\.\.\/\.\.\/blobs\//);
  });
});

describe("a choice of weights", () => {
  const use = (names: string[]) => {
    hub.files.clear();
    for (const name of names) hub.files.set(name, Buffer.from(name));
  };
  const got = (path: string) => layout(path).map((line) => line.split(" ")[0]);

  test.each([
    [
      [
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
      ],
      ["consolidated.safetensors", "pytorch_model.bin"],
    ],
    [["pytorch_model.bin"], ["flax_model.msgpack", "tf_model.h5", "training_args.bin", "model.onnx"]],
    [["params.json", "consolidated.00.pth", "consolidated.01.pth", "tokenizer.model"], ["checklist.chk"]],
    [["params.json", "consolidated.safetensors", "tekken.json"], ["README"]],
    [
      [
        "params.json",
        "consolidated-00001-of-00002.safetensors",
        "consolidated-00002-of-00002.safetensors",
        "tokenizer.model.v3",
      ],
      ["consolidated.safetensors.index.json"],
    ],
    [["flax_model.msgpack", "merges.txt", "vocab.json"], ["events.out.tfevents.1"]],
    [
      ["qwen.tiktoken", "tokenizer_config.json", "model.safetensors"],
      ["all_results.json", "model.q4.gguf"],
    ],
  ])("%j without %j", async (wanted, others) => {
    use([...others, "config.json", ...wanted]);
    const { path } = await get();
    expect(got(path)).toEqual(["config.json", ...wanted].sort());
  });

  test("the only GGUF file", async () => {
    use(["README.md", "config.json", "m-Q4_K_M.gguf", "mmproj-f16.gguf"]);
    expect((await get()).path).toBe(join(snapshot(), "m-Q4_K_M.gguf"));
  });

  test("a folder of the repository", async () => {
    use(["config.json", "original/params.json", "original/consolidated.00.pth", "original/tokenizer.model"]);
    const { path } = await get("hf:test/model/original");
    expect(path).toBe(join(snapshot(), "original"));
    expect(got(path)).toEqual(["consolidated.00.pth", "params.json", "tokenizer.model"]);
  });

  test.each([
    [
      ["a.gguf", "b.gguf"],
      "",
      "hf:test/model: has 2 GGUF files",
      "hf:test/model/<file> with one of a.gguf, b.gguf",
    ],
    [["README.md"], "", "hf:test/model: no model in this repository", "looked for safetensors"],
    [["config.json"], "", "hf:test/model: the repository has a configuration, but no weights", undefined],
    [
      ["m-Q4_0.gguf"],
      "/m-Q4_O.gguf",
      "there is no m-Q4_O.gguf in the repository",
      "did you mean m-Q4_0.gguf?",
    ],
  ])("%j%s cannot be chosen from", async (names, path, message, hint) => {
    use(names);
    const error = await failure(get(`hf:test/model${path}`));
    expect(error).toMatchObject({ code: "bad-input", message: expect.stringContaining(message) });
    if (hint !== undefined) expect(error.hint).toContain(hint);
    expect(existsSync(snapshot())).toBe(false);
  });
});

describe("connections that fail", () => {
  test("a cut is gone on from, to the same bytes", async () => {
    at({ cutAfter: 60_000 }, 0, 1, 2);
    const { path } = await get();
    expect(readFileSync(join(path, WEIGHTS)).equals(bytes)).toBe(true);
    const from = hub.fetches(WEIGHTS).map(({ range }) => Number(/\d+/.exec(range ?? "0")));
    // Each begins where the one before stopped: nothing is sent twice.
    expect(from).toEqual([0, 60_000, 120_000, 180_000]);
  });

  test("a cut that outlasts the program is gone on from by the next", async () => {
    const stop = new AbortController();
    const reason = new LlqError("interrupted", "stopped by a test");
    at({ cutAfter: 200_000 }, 0);
    const onProgress = (done: number) => done > 200_000 && stop.abort(reason);
    expect(await failure(get("hf:test/model", { signal: stop.signal, onProgress }))).toBe(reason);
    const kept = readFileSync(partial()).length;
    expect(kept).toBeGreaterThan(100_000);
    hub.requests.length = 0;
    await get();
    expect(hub.fetches(WEIGHTS).map(({ range }) => range)).toEqual([`bytes=${kept}-`]);
    expect(readFileSync(blob()).equals(bytes)).toBe(true);
    expect(existsSync(partial())).toBe(false);
  });

  test("what has arrived whole is not asked for again, and what is longer is", async () => {
    for (const [left, requests] of [
      [bytes, 0],
      [Buffer.concat([bytes, Buffer.from("x")]), 1],
    ] as const) {
      settings = { ...settings, cache: join(folder, `cache-left-${left.length}`) };
      mkdirSync(dirname(partial()), { recursive: true });
      writeFileSync(partial(), left);
      hub.requests.length = 0;
      await get();
      expect(hub.fetches(WEIGHTS)).toHaveLength(requests);
      expect(readFileSync(blob()).equals(bytes)).toBe(true);
    }
  });

  test("an etag that changes makes it start over", async () => {
    hub.fault = ({ path, before }) => {
      if (path !== WEIGHTS) return undefined;
      return before === 0 ? { cutAfter: 60_000, etag: "first" } : { etag: "second" };
    };
    await get();
    expect(hub.fetches(WEIGHTS).map(({ range }) => range)).toEqual([undefined, "bytes=60000-", undefined]);
    expect(readFileSync(blob()).equals(bytes)).toBe(true);
  });

  test("a range of other bytes than were asked for makes it start over", async () => {
    const headers = { "content-range": `bytes 50000-${bytes.length - 1}/${bytes.length}` };
    hub.fault = ({ path, before }) =>
      path === WEIGHTS && before < 2 ? (before === 0 ? { cutAfter: 60_000 } : { headers }) : undefined;
    await get();
    expect(hub.fetches(WEIGHTS).map(({ range }) => range)).toEqual([undefined, "bytes=60000-", undefined]);
    expect(readFileSync(blob()).equals(bytes)).toBe(true);
  });

  test("a server without ranges is read from the start", async () => {
    hub.fault = ({ path, before }) =>
      path === WEIGHTS ? { ignoreRange: true, ...(before === 0 ? { cutAfter: 60_000 } : {}) } : undefined;
    await get();
    expect(hub.fetches(WEIGHTS)).toHaveLength(2); // the whole that it sends instead is taken as that
    expect(readFileSync(blob()).equals(bytes)).toBe(true);
  });

  test.each([408, 429, 500, 502, 503, 504])("status %d passes", async (status) => {
    at({ status }, 0, 1);
    await get();
    expect(hub.fetches(WEIGHTS)).toHaveLength(3);
  });

  test("Retry-After is obeyed", async () => {
    at({ status: 429, headers: { "retry-after": "1" } }, 0);
    const started = performance.now();
    await get();
    expect(performance.now() - started).toBeGreaterThan(990);
  });

  test("waits grow", async () => {
    settings = { ...settings, retryDelay: 40 };
    at({ status: 503 }, 0, 1, 2);
    const started = performance.now();
    await get();
    expect(performance.now() - started).toBeGreaterThan(40 + 80 + 160 - 10);
  });

  test("a connection on which nothing arrives is given up and made again", async () => {
    settings = { ...settings, idleTimeout: 200 };
    at({ stallAfter: 1000 }, 0);
    await get();
    expect(hub.fetches(WEIGHTS)).toHaveLength(2);
  });

  test.each<[string, Fault, RegExp]>([
    ["keeps failing", { status: 503 }, /status 503/],
    ["always cuts at once", { cutAfter: 0 }, /cannot be reached|ends after 0/],
    ["sends too much", { surplus: 10 }, /sends more than the 300000 bytes/],
  ])("a server that %s is given up", async (_, fault, message) => {
    at(fault, ...Array(50).keys());
    const error = await failure(get());
    expect(error.message).toMatch(message);
    expect(EXIT_CODE[error.code]).toBe(6);
    expect(hub.fetches(WEIGHTS).length).toBeLessThan(10);
    expect(existsSync(join(snapshot(), WEIGHTS))).toBe(false);
  });

  test("a Hub that is not there", async () => {
    settings = { ...settings, endpoint: "http://127.0.0.1:9" };
    expect(await failure(get())).toMatchObject({
      code: "network",
      message: expect.stringContaining("cannot be reached"),
    });
  });
});

describe("bytes that are wrong", () => {
  test("a flipped bit is refused and nothing is kept", async () => {
    at({ flip: 123_456 }, 0);
    const error = await failure(get());
    expect(error).toMatchObject({
      code: "network",
      message: expect.stringContaining(`sha256 ${sha256(bytes)}`),
    });
    expect(existsSync(blob()) || existsSync(partial()) || existsSync(join(snapshot(), WEIGHTS))).toBe(false);
    await get();
    expect(readFileSync(blob()).equals(bytes)).toBe(true);
  });

  test("in a small file too, which git's hash tells", async () => {
    hub.fault = ({ path }) => (path === "config.json" ? { flip: 0 } : undefined);
    expect((await failure(get())).message).toContain(`config.json: the bytes received have not the git-sha1`);
  });

  test("a damaged beginning that another run left is fetched again", async () => {
    mkdirSync(dirname(blob()), { recursive: true });
    const damaged = Buffer.from(bytes.subarray(0, 50_000));
    damaged[7]! ^= 4;
    writeFileSync(partial(), damaged);
    await get();
    expect(hub.fetches(WEIGHTS).map(({ range }) => range)).toEqual(["bytes=50000-", undefined]);
    expect(readFileSync(blob()).equals(bytes)).toBe(true);
  });

  test("a beginning longer than the file is not gone on from", async () => {
    mkdirSync(dirname(blob()), { recursive: true });
    writeFileSync(partial(), Buffer.alloc(bytes.length + 1));
    await get();
    expect(readFileSync(blob()).equals(bytes)).toBe(true);
  });

  test("a blob cut short by another program is fetched again", async () => {
    await get();
    writeFileSync(blob(), bytes.subarray(0, 1000));
    await get();
    expect(readFileSync(join(snapshot(), WEIGHTS)).equals(bytes)).toBe(true);
  });
});

describe("who may read", () => {
  test("the token goes to the Hub and to nobody else", async () => {
    hub.token = "hf_secret";
    settings = { ...settings, token: "hf_secret" };
    await get();
    const [weights] = hub.fetches(WEIGHTS);
    expect(weights!.authorization).toBeUndefined();
    const others = hub.requests.filter(({ path }) => path.startsWith("/api/") || path === "config.json");
    expect(others.map(({ authorization }) => authorization)).toEqual(others.map(() => "Bearer hf_secret"));
  });

  test.each<[string, Partial<HubSettings>, Fault | undefined, string, RegExp]>([
    ["no token", {}, undefined, "private, gated or does not exist (status 401)", /set HF_TOKEN/],
    [
      "a wrong token",
      { token: "hf_wrong" },
      undefined,
      "the token is not accepted",
      /check the name and HF_TOKEN/,
    ],
    ["a gated repository", { token: "hf_right" }, { status: 403 }, "access is refused", /ask for access/],
  ])("%s", async (_, given, fault, message, hint) => {
    hub.token = "hf_right";
    settings = { ...settings, ...given };
    if (fault !== undefined) at(fault, 0);
    const error = await failure(get());
    expect(error).toMatchObject({ code: "network", message: expect.stringContaining(message) });
    expect(error.hint).toMatch(hint);
    expect(`${error.message}${error.hint}`).not.toMatch(/hf_|signature/);
  });

  test.each([
    ["hf:test/other", "no such repository"],
    ["hf:test/model@v2", "no such revision"],
  ])("%s is not there", async (text, message) => {
    expect(await failure(get(text))).toMatchObject({
      code: "bad-input",
      message: expect.stringContaining(message),
    });
  });
});

describe("without the Hub", () => {
  test("HF_HUB_OFFLINE takes what is in the cache and asks nobody", async () => {
    const online = await get();
    hub.requests.length = 0;
    settings = { ...settings, offline: true };
    expect(await get()).toEqual(online);
    expect(await get(`hf:test/model@${COMMIT}`)).toEqual(online);
    expect(hub.requests).toEqual([]);
    expect(await failure(get("hf:test/model@v1"))).toMatchObject({
      code: "network",
      message: "hf:test/model@v1: HF_HUB_OFFLINE is set, and it is not in the cache",
    });
  });

  test("a Hub that cannot be reached leaves what is in the cache, with a remark", async () => {
    const online = await get();
    settings = { ...settings, endpoint: "http://127.0.0.1:9" };
    const remarks: string[] = [];
    expect(await get("hf:test/model", { onRemark: (text) => remarks.push(text) })).toEqual(online);
    expect(remarks).toEqual([expect.stringContaining("using commit c0ffee000000 of the cache")]);
  });

  test("a Hub that refuses does not", async () => {
    await get();
    hub.token = "hf_right";
    expect(await failure(get())).toMatchObject({ code: "network" });
  });
});

describe("a listing that lies", () => {
  const entry = (path: string, more: object = {}) => ({
    type: "file",
    path,
    size: 2,
    oid: gitSha1(Buffer.from("{}")),
    ...more,
  });

  test.each<[string, object]>([
    ["a path upwards", entry("../../../evil.safetensors")],
    ["a path upwards inside", entry("a/../../../model.safetensors")],
    ["an absolute path", entry("/etc/model.safetensors")],
    ["a drive", entry("C:\\model.safetensors")],
    ["a backslash", entry("..\\model.safetensors")],
    ["a control character", entry("a\u0000.safetensors")],
    ["an empty path", entry("")],
    ["a digest that is a path", entry("config.json", { oid: "../../../../evil".padEnd(40, "0") })],
    ["an LFS digest that is a path", entry(WEIGHTS, { lfs: { oid: "../x".padEnd(64, "0"), size: 2 } })],
    ["a size below 0", entry("config.json", { size: -1 })],
    ["a size that is no number", entry("config.json", { size: "2" })],
    ["no digest", entry("config.json", { oid: undefined })],
  ])("%s is refused, and nothing is written", async (_, lie) => {
    hub.listing = (entries) => [...entries, lie];
    expect(await failure(get())).toMatchObject({
      code: "network",
      message: `hf:test/model: ${hub.endpoint} sends no valid listing`,
    });
    expect(existsSync(settings.cache)).toBe(false);
  });

  test("a size that no disk has", async () => {
    hub.listing = (entries) => entries.map((each) => ({ ...each, size: 2 ** 52, lfs: undefined }));
    expect(await failure(get())).toMatchObject({
      code: "no-space",
      message: expect.stringContaining("needs"),
    });
  });

  test.each([["not JSON"], ["{}"], ["[1]"]])("%s is no listing", async (body) => {
    hub.fault = ({ path }) => (path.startsWith("/api/") ? { status: 200, body } : undefined);
    expect((await failure(get())).message).toContain("sends no valid listing");
  });
});

describe("two at once", () => {
  test("fetch each file once", async () => {
    const [a, b] = await Promise.all([get(), get()]);
    expect(a).toEqual(b);
    expect(hub.fetches(WEIGHTS)).toHaveLength(1);
    expect(layout(join(settings.cache, ".locks"))).toEqual([]);
  });

  test.each([
    ["of a process that is gone", "", 0],
    ["that nobody has touched", "elsewhere 1", 120],
  ])("a lock %s is broken", async (_, content, age) => {
    const lock = join(settings.cache, ".locks/models--test--model", `${sha256(bytes)}.llq-lock`);
    mkdirSync(dirname(lock), { recursive: true });
    if (content === "") {
      const module = new URL("../../dist/src/run/write/lock.js", import.meta.url).pathname;
      const code = `(await import(${JSON.stringify(module)})).tryLock(${JSON.stringify(lock)}); process.exit()`;
      spawnSync(process.execPath, ["--input-type=module", "-e", code]);
      expect(existsSync(lock)).toBe(true);
    } else writeFileSync(lock, content);
    const then = Date.now() / 1000 - age;
    utimesSync(lock, then, then);
    await get();
    expect(existsSync(lock)).toBe(false);
  });

  test("waiting for a lock can be interrupted", async () => {
    const lock = join(settings.cache, ".locks/models--test--model", `${sha256(bytes)}.llq-lock`);
    mkdirSync(dirname(lock), { recursive: true });
    writeFileSync(lock, "elsewhere 1");
    const reason = new LlqError("interrupted", "stopped");
    expect(
      await failure(
        get("hf:test/model", { signal: AbortSignal.timeout(500) }).catch(() => {
          throw reason;
        }),
      ),
    ).toBe(reason);
    expect(hub.fetches(WEIGHTS)).toEqual([]);
  });
});

test("a link where the snapshot's entry goes is replaced, never written through", async () => {
  const victim = join(folder, "victim");
  writeFileSync(victim, "mine");
  mkdirSync(snapshot(), { recursive: true });
  symlinkSync(victim, join(snapshot(), WEIGHTS));
  await get();
  expect(readFileSync(victim, "utf8")).toBe("mine");
  expect(readFileSync(join(snapshot(), WEIGHTS)).equals(bytes)).toBe(true);
});
