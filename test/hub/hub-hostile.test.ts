import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { LlqError } from "../../formats/errors.js";
import { fetchHeaders } from "../../src/hub/fetch-headers.js";
import { type FetchOptions, fetchModel } from "../../src/hub/fetch-model.js";
import { HubClient } from "../../src/hub/http.js";
import { parseHubReference } from "../../src/hub/reference.js";
import type { HubSettings } from "../../src/hub/settings.js";
import { provenance } from "../../src/quant/metadata.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { COMMIT, FakeHub, hubSettings, sha256 } from "../support/hub-server.js";
import { scratchFolder } from "../support/scratch.js";

// A Hub that wants us to wait for ever or to take everything, with limits made low; and caches as others leave them.

const folder = scratchFolder();
const WEIGHTS = "model.safetensors";
const bytes = Buffer.alloc(200_000, "weights");
const hub = new FakeHub({});
await hub.start();
afterAll(() => hub.stop());

let settings: HubSettings;
let caches = 0;
beforeEach(() => {
  hub.reset({ "config.json": "{}", [WEIGHTS]: bytes });
  settings = hubSettings(hub.endpoint, join(folder, `cache-${caches++}`));
});

const reference = parseHubReference("hf:test/model");
const get = (options?: FetchOptions) => fetchModel(reference, settings, options);
const repository = () => join(settings.cache, "models--test--model");
const snapshot = () => join(repository(), "snapshots", COMMIT);
const failure = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );
const isApi = (path: string) => path.startsWith("/api/");

describe("a Hub that", () => {
  test.each(["config.json", WEIGHTS])("sends %s byte by byte", async (file) => {
    settings = { ...settings, slowTime: 100 };
    hub.files.set("config.json", Buffer.alloc(900, " "));
    hub.fault = ({ path }) => (path === file ? { drip: 5 } : undefined);
    const started = performance.now();
    expect(await failure(get())).toMatchObject({
      code: "network",
      message: expect.stringMatching(/less than 1024 bytes a second/),
    });
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test("sends byte by byte can be interrupted at any time", async () => {
    hub.fault = ({ path }) => (path === WEIGHTS ? { drip: 5 } : undefined);
    const reason = new LlqError("interrupted", "stopped");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 300);
    const started = performance.now();
    expect(await failure(get({ signal: controller.signal }))).toBe(reason);
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test("asks to come back after a day is not waited for", async () => {
    hub.fault = () => ({ status: 503, headers: { "retry-after": "86400" } });
    expect(await failure(get())).toMatchObject({
      code: "network",
      hint: "the server asks to come back in 1440 minutes",
    });
    expect(hub.requests).toHaveLength(1);
  });

  test("lists pages without end", async () => {
    settings = { ...settings, maxPages: 10 };
    hub.fault = ({ path }) =>
      path.includes("/tree/")
        ? { status: 200, body: "[]", headers: { link: `<${hub.endpoint}${path}?cursor=1>; rel="next"` } }
        : undefined;
    expect(await failure(get())).toMatchObject({
      code: "network",
      message: `${hub.endpoint}: lists more than 10 pages`,
    });
    expect(hub.requests.length).toBeLessThan(12);
  });

  test("answers with a body that unpacks to much", async () => {
    const body = gzipSync(Buffer.alloc(17 << 20, " "));
    hub.fault = ({ path }) =>
      isApi(path) ? { status: 200, body, headers: { "content-encoding": "gzip" } } : undefined;
    expect(await failure(get())).toMatchObject({
      code: "network",
      message: expect.stringContaining(`more than ${16 << 20} bytes`),
    });
  });

  test("answers with more values than a listing has", async () => {
    const body = `[${"{},".repeat(300_000)}{}]`;
    hub.fault = ({ path }) => (path.includes("/tree/") ? { status: 200, body } : undefined);
    expect(await failure(get())).toMatchObject({
      code: "network",
      message: expect.stringContaining("no valid listing"),
    });
  });

  test("redirects in circles", async () => {
    hub.fault = ({ path }) => (isApi(path) ? { status: 302, headers: { location: path } } : undefined);
    expect(await failure(get())).toMatchObject({
      code: "network",
      message: expect.stringContaining("more than 5 redirects"),
    });
  });
});

test("a redirect from https to http is not followed", async () => {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (url: URL) => {
    asked.push(url.href);
    const headers = { location: "http://hub.example/elsewhere" };
    return url.protocol === "https:" ? new Response(null, { status: 302, headers }) : new Response("{}");
  });
  const client = new HubClient({ ...settings, endpoint: "https://hub.example" });
  const error = await failure(client.get(new URL("https://hub.example/a")));
  vi.unstubAllGlobals();
  expect(error).toMatchObject({
    code: "network",
    message: expect.stringMatching(/redirects to something that is no safe address/),
  });
  expect(asked).toEqual(["https://hub.example/a"]);
});

describe("a cache", () => {
  test("whose refs lead out of the snapshots: nothing there is opened", async () => {
    await get();
    const outside = join(repository(), "outside");
    mkdirSync(outside);
    for (const name of ["config.json", WEIGHTS]) writeFileSync(join(outside, name), "{}");
    writeFileSync(join(repository(), "refs", "main"), "../outside");
    settings = { ...settings, offline: true };
    expect(await failure(get())).toMatchObject({
      code: "network",
      message: expect.stringContaining("it is not in the cache"),
    });
  });

  test("whose blob is a link into another store: the blob's own name is recorded", async () => {
    await get();
    const blob = join(repository(), "blobs", sha256(bytes));
    const store = join(settings.cache, "xet", "f".repeat(64));
    mkdirSync(join(settings.cache, "xet"));
    renameSync(blob, store);
    symlinkSync(store, blob);
    const before = hub.fetches(WEIGHTS).length;
    const { path } = await get();
    expect(hub.fetches(WEIGHTS)).toHaveLength(before);
    const keys = new Map(provenance([join(path, WEIGHTS)], findRecipe("Q8_0")));
    expect(keys.get("llq.source.blobs")?.value).toEqual([sha256(bytes)]);
    expect(keys.has("llq.source.sha256")).toBe(false);
    expect(new Map(provenance([store], findRecipe("Q8_0"))).has("llq.source.blobs")).toBe(false);
  });

  test("with a piece of a killed download of huggingface_hub: it is left alone", async () => {
    const piece = join(repository(), "blobs", `${sha256(bytes)}.1a2b3c4d.incomplete`);
    mkdirSync(join(repository(), "blobs"), { recursive: true });
    writeFileSync(piece, "piece");
    const { path } = await get();
    expect(readFileSync(join(path, WEIGHTS)).equals(bytes)).toBe(true);
    expect(readFileSync(piece, "utf8")).toBe("piece");
  });

  test("with the configuration alone, offline: good for what needs no weights, and said otherwise", async () => {
    await get();
    rmSync(join(snapshot(), WEIGHTS));
    settings = { ...settings, offline: true };
    expect(await failure(get())).toMatchObject({
      code: "network",
      message: expect.stringContaining("the cache has its configuration only"),
    });
    const { path } = await fetchHeaders(reference, settings, { others: "config" });
    expect(readFileSync(join(path, "config.json"), "utf8")).toBe("{}");
  });

  test("whose entries are files, as where there are no links", async () => {
    await get();
    const entry = join(snapshot(), WEIGHTS);
    rmSync(entry);
    writeFileSync(entry, bytes);
    const { path } = await get();
    expect(readFileSync(join(path, WEIGHTS)).equals(bytes)).toBe(true);
  });

  test("that sixteen use at once", async () => {
    const all = await Promise.all(Array.from({ length: 16 }, () => get()));
    expect(new Set(all.map(({ path }) => path)).size).toBe(1);
    expect(readdirSync(join(repository(), "refs"))).toEqual(["main"]);
    expect(readdirSync(snapshot()).sort()).toEqual(["config.json", WEIGHTS]);
  });
});
