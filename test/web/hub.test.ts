import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { fetchFile, type Growing } from "../../web/src/engine/hub/fetch-file.js";
import { fetchHollow, zeros } from "../../web/src/engine/hub/headers.js";
import { listRepository } from "../../web/src/engine/hub/listing.js";
import { Repository } from "../../web/src/engine/hub/repository.js";
import { Hub } from "../../web/src/engine/hub/requests.js";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const COMMIT = "a".repeat(40);
const REFERENCE = { owner: "some", name: "model", path: "", revision: "main" };
const WEIGHTS = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => i % 251));
const SHA256 = createHash("sha256").update(WEIGHTS).digest("hex");
const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** A hub of its own for each test, and what it was asked for. */
async function hubOf(answer: Answer, token?: string, signal?: AbortSignal) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  stops.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    hub: new Hub({ endpoint, token, fetch, patience: 1 }, signal),
    asked,
    url: new URL(`${endpoint}/file`),
  };
}

const json = (response: ServerResponse, value: unknown, headers = {}) =>
  response.writeHead(200, headers).end(JSON.stringify(value));

/** Answers with the weights, or the part that is asked for. */
function ranged(request: IncomingMessage, response: ServerResponse, bytes = WEIGHTS): void {
  const [, from, to = ""] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "") ?? [];
  const part = bytes.subarray(Number(from ?? 0), to === "" ? undefined : Number(to) + 1);
  response.writeHead(from === undefined ? 200 : 206).end(part);
}

function inMemory(start: Uint8Array = new Uint8Array()): Growing & { bytes: Buffer } {
  return {
    bytes: Buffer.from(start),
    get size() {
      return this.bytes.length;
    },
    append(more) {
      this.bytes = Buffer.concat([this.bytes, more]);
    },
    clear() {
      this.bytes = Buffer.alloc(0);
    },
    async sha256() {
      return createHash("sha256").update(this.bytes).digest("hex");
    },
  };
}

const FILE = { path: "model.safetensors", size: WEIGHTS.length, sha256: SHA256 };

it("lists all pages of a commit, and gives the token to the Hub alone", async () => {
  const entry = (path: string) => ({ type: "file", path, size: 12, oid: COMMIT });
  const { hub, asked } = await hubOf((request, response) => {
    const url = new URL(request.url!, "http://hub");
    if (url.pathname.includes("/revision/")) return json(response, { sha: COMMIT });
    if (url.searchParams.has("cursor")) return json(response, [{ type: "directory", path: "x" }, entry("b")]);
    const lfs = { oid: SHA256, size: 300_000 };
    const link = `<${url.pathname}?recursive=true&cursor=2>; rel="next"`;
    return json(response, [{ ...entry("model.safetensors"), lfs }, entry("config.json")], { link });
  }, "hf_secret");
  const { commit, files } = await listRepository(hub, REFERENCE);
  expect(commit).toBe(COMMIT);
  expect(files).toEqual([
    FILE,
    { path: "config.json", size: 12, sha256: undefined },
    { path: "b", size: 12, sha256: undefined },
  ]);
  expect(asked.every(({ headers }) => headers.authorization === "Bearer hf_secret")).toBe(true);
});

it.each([
  ["no JSON", "<html>", {}],
  ["a path out of the folder", [{ type: "file", path: "../x", size: 1 }], {}],
  ["a size that is none", [{ type: "file", path: "x", size: -1 }], {}],
  ["a sum that is none", [{ type: "file", path: "x", size: 1, lfs: { oid: "1", size: 1 } }], {}],
  ["a next page elsewhere", [], { link: '<https://elsewhere.example/>; rel="next"' }],
])("refuses a listing with %s", async (_, listing, headers) => {
  const { hub } = await hubOf((request, response) =>
    request.url!.includes("/revision/") ? json(response, { sha: COMMIT }) : json(response, listing, headers),
  );
  await expect(listRepository(hub, REFERENCE)).rejects.toMatchObject({ said: "hubNonsense" });
});

it.each([
  [401, undefined, "hubLocked"],
  [401, "hf_old", "hubBadToken"],
  [403, "hf_old", "hubRefused"],
  [404, undefined, "hubMissing"],
  [429, undefined, "hubTooOften"],
  [503, undefined, "hubUnreachable"],
])("says of status %d what it means", async (status, token, said) => {
  const { hub, asked } = await hubOf((_, response) => void response.writeHead(status).end(), token);
  await expect(listRepository(hub, REFERENCE)).rejects.toMatchObject({ said });
  expect(asked.length).toBe(status >= 429 ? 5 : 1);
});

it("waits no longer than is bearable, whatever the server asks for", async () => {
  const { hub, asked } = await hubOf(
    (_, response) => void response.writeHead(429, { "retry-after": "86400" }).end(),
  );
  await expect(listRepository(hub, REFERENCE)).rejects.toMatchObject({ said: "hubTooOften" });
  expect(asked.length).toBe(1);
});

it("goes on where a lost connection stopped, as often as it gains something", async () => {
  const { hub, asked, url } = await hubOf((request, response) => {
    const [, from = "0"] = /bytes=(\d+)-/.exec(request.headers.range ?? "") ?? [];
    const rest = WEIGHTS.subarray(Number(from));
    response.writeHead(Number(from) > 0 ? 206 : 200, { "content-length": rest.length });
    if (rest.length < 100_000) return void response.end(rest);
    response.write(rest.subarray(0, 70_000), () => response.destroy());
  });
  const target = inMemory();
  const seen: number[] = [];
  await fetchFile(hub, url, FILE, target, (done) => seen.push(done));
  expect(target.bytes.equals(WEIGHTS)).toBe(true);
  expect(asked.length).toBeGreaterThan(2);
  expect(seen.at(-1)).toBe(WEIGHTS.length);
});

it("takes what an earlier visit left, and does without it when it is damaged", async () => {
  const { hub, asked, url } = await hubOf(ranged);
  const good = inMemory(WEIGHTS.subarray(0, 1000));
  await fetchFile(hub, url, FILE, good, () => {});
  expect(good.bytes.equals(WEIGHTS)).toBe(true);
  expect(asked.map(({ headers }) => headers.range)).toEqual(["bytes=1000-"]);
  const bad = inMemory(new Uint8Array(1000).fill(7));
  await fetchFile(hub, url, FILE, bad, () => {});
  expect(bad.bytes.equals(WEIGHTS)).toBe(true);
});

it("keeps nothing of bytes that are not what the listing says", async () => {
  const { hub, url } = await hubOf((request, response) =>
    ranged(request, response, Buffer.alloc(WEIGHTS.length)),
  );
  const target = inMemory();
  await expect(fetchFile(hub, url, FILE, target, () => {})).rejects.toMatchObject({ said: "hubWrongBytes" });
  expect(target.size).toBe(0);
});

it("stops when it is told to, and keeps what has arrived", async () => {
  const stop = new AbortController();
  const { hub, url } = await hubOf(
    (_, response) => void response.writeHead(200).write(WEIGHTS.subarray(0, 100_000)),
    undefined,
    stop.signal,
  );
  const target = inMemory();
  const fetched = fetchFile(hub, url, FILE, target, (done) => {
    if (done === 100_000) stop.abort(new Error("stopped"));
  });
  await expect(fetched).rejects.toThrow("stopped");
  expect(target.size).toBe(100_000);
});

it("fetches the header of a file and puts zeros behind it", async () => {
  const header = Buffer.from('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = Buffer.concat([length, header, Buffer.alloc(2 << 20, 1)]);
  const { hub, asked, url } = await hubOf((request, response) => ranged(request, response, file));
  const hollow = await fetchHollow(hub, url, { path: "m.safetensors", size: file.length, sha256: undefined });
  const bytes = Buffer.from(await hollow.arrayBuffer());
  expect(asked.map(({ headers }) => headers.range)).toEqual(["bytes=0-1048575"]);
  expect(bytes.length).toBe(file.length);
  expect(bytes.subarray(0, 1 << 20).equals(file.subarray(0, 1 << 20))).toBe(true);
  expect(bytes.subarray(1 << 20).every((byte) => byte === 0)).toBe(true);
});

it.each([0, 1, 1000, (1 << 20) + 1, 5 * (1 << 20) - 3])("makes a blob of %d zeros", async (length) => {
  const blob = zeros(length);
  expect(blob.size).toBe(length);
  expect(new Uint8Array(await blob.arrayBuffer()).every((byte) => byte === 0)).toBe(true);
});

it("finds what makes up a model, and places it under the model's name", async () => {
  const files = ["config.json", "tokenizer.json", "README.md", "model.safetensors", "original/params.json"];
  const { hub } = await hubOf((request, response) => {
    if (request.url!.includes("/revision/")) return json(response, { sha: COMMIT });
    if (request.url!.includes("/tree/")) {
      return json(
        response,
        files.map((path) => ({ type: "file", path, size: 10, oid: COMMIT })),
      );
    }
    return void response.writeHead(200).end("0123456789");
  });
  const repository = await Repository.find(hub, "some/model");
  expect(repository).toMatchObject({ name: "model", byteLength: 10, hasHeaders: true });
  const storage = {
    grow: async (key: string, fetch: (growing: Growing) => Promise<void>) => {
      const growing = inMemory();
      await fetch(growing);
      return new File([growing.bytes as Uint8Array<ArrayBuffer>], key);
    },
  };
  const placed = await repository.whole(hub, storage, () => {});
  expect(placed.map(({ path }) => path)).toEqual([
    "model/config.json",
    "model/tokenizer.json",
    "model/model.safetensors",
  ]);
  expect(placed.every(({ file }) => file.size === 10)).toBe(true);
});
