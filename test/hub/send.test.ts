import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { HubClient } from "../../src/hub/http.js";
import { hashFile, type PushedFile, pushFiles } from "../../src/hub/push.js";
import { parseHubReference } from "../../src/hub/reference.js";
import { type Sent, sendThrough } from "../../src/hub/send.js";
import { hubSettings, sha256 } from "../support/hub-server.js";
import { Random } from "../support/random.js";
import { scratchFolder } from "../support/scratch.js";
import { FakeUploads } from "./push-server.js";

// The pieces of a push, each by itself.

const folder = scratchFolder();
const hub = new FakeUploads();
await hub.start();
afterAll(() => hub.stop());
beforeEach(() => hub.reset());

const client = () => new HubClient(hubSettings(hub.endpoint, folder, { token: hub.token }));

describe("answers are looked at before the library follows them", () => {
  const BATCH = "/me/model.git/info/lfs/objects/batch";
  const PREUPLOAD = "/api/models/me/model/preupload/main";
  const oid = "0".repeat(64);
  const sent = (byteLength: number): Sent => ({ path: "a", byteLength, sha256: oid });

  function ask(
    path: string,
    answer: unknown,
    files: readonly Sent[],
    body: unknown = { objects: [{ oid }] },
  ) {
    hub.fault = () => ({ body: typeof answer === "string" ? answer : JSON.stringify(answer) });
    const send = sendThrough(client(), files, () => {});
    return send(`${hub.endpoint}${path}`, { method: "POST", body: JSON.stringify(body) });
  }

  test.each<[string, unknown]>([
    ["no JSON", "<html>"],
    ["a list", []],
    ["no objects", {}],
    ["objects that are no list", { objects: {} }],
    ["an object that is none", { objects: [1] }],
    ["an object without a name", { objects: [{}] }],
    ["a name that is a number", { objects: [{ oid: 1 }] }],
    ["actions that are none", { objects: [{ oid, actions: 1 }] }],
    ["an upload without an address", { objects: [{ oid, actions: { upload: {} } }] }],
    ["an address that is a number", { objects: [{ oid, actions: { upload: { href: 1 } } }] }],
  ])("a batch: %s", async (_, answer) => {
    await expect(ask(BATCH, answer, [sent(1)])).rejects.toMatchObject({
      code: "network",
      message: `${hub.endpoint}${BATCH}: no valid answer`,
      hint: "HF_ENDPOINT must name a Hugging Face Hub or a mirror of it",
    });
  });

  test.each<[string, unknown]>([
    ["nothing to do", { objects: [] }],
    ["what is there already", { objects: [{ oid }] }],
    ["nothing to upload", { objects: [{ oid, actions: {} }] }],
    ["an address", { objects: [{ oid, actions: { upload: { href: "http://x" } } }] }],
  ])("a batch may say: %s", async (_, answer) => {
    const response = await ask(BATCH, answer, [sent(1)]);
    expect(await response.json()).toEqual(answer);
  });

  test("a batch names only what was hashed", async () => {
    const { length } = hub.requests;
    const other = { objects: [{ oid }, { oid: "1".repeat(64) }] };
    await expect(ask(BATCH, { objects: [] }, [sent(1)], other)).rejects.toMatchObject({
      code: "bad-input",
      message: "a file has changed since its hash was taken",
    });
    expect(hub.requests).toHaveLength(length);
    await ask(BATCH, { objects: [] }, [sent(1)], {});
    expect(hub.requests).toHaveLength(length + 1);
  });

  // The Hub takes files of 10 MB and more as large ones.
  test.each([
    ["regular", 9_999_999, undefined],
    ["regular", 10_000_000, "takes a for a small file"],
    ["lfs", 10_000_000, undefined],
    ["lfs", 1, undefined],
    ["other", 1, "no valid answer"],
  ])("a file that is taken as %s, of %d bytes", async (uploadMode, byteLength, why) => {
    const answer = ask(PREUPLOAD, { files: [{ path: "a", uploadMode }] }, [sent(byteLength)]);
    if (why === undefined) expect((await answer).status).toBe(200);
    else await expect(answer).rejects.toMatchObject({ message: `${hub.endpoint}${PREUPLOAD}: ${why}` });
  });

  test("every file is spoken of", async () => {
    const files = [sent(1), { ...sent(1), path: "b" }];
    await expect(ask(PREUPLOAD, { files: [{ path: "a", uploadMode: "lfs" }] }, files)).rejects.toMatchObject({
      message: `${hub.endpoint}${PREUPLOAD}: says nothing of b`,
    });
  });

  test.each(["/api/models/me/model/commit/main", "/api/repos/create", "/complete/x"])(
    "%s answers with JSON",
    async (path) => {
      await expect(ask(path, "<html>", [])).rejects.toMatchObject({
        message: `${hub.endpoint}${path}: no valid answer`,
      });
      expect(await (await ask(path, { any: 1 }, [])).json()).toEqual({ any: 1 });
    },
  );

  test("only the request that makes the files visible counts as the commit", async () => {
    let commits = 0;
    hub.fault = () => ({ body: "{}" });
    const send = sendThrough(client(), [], () => {
      commits++;
    });
    for (const path of ["/api/repos/create", "/complete/x", "/me/model/commit-x/main"]) {
      await send(`${hub.endpoint}${path}`, { method: "POST", body: "{}" });
    }
    expect(commits).toBe(0);
    await send(`${hub.endpoint}/api/models/me/model/commit/main`, { method: "POST", body: "{}" });
    expect(commits).toBe(1);
  });
});

describe("hashes", () => {
  const MB = 1 << 20;

  // Pieces of 4 MiB: none, a part of one, one, several, and one cut short.
  test.each([0, 1, 4 * MB - 1, 4 * MB, 4 * MB + 1, 9 * MB])("of a file of %d bytes", async (length) => {
    const random = new Random(length + 1);
    const bytes = Buffer.alloc(length);
    for (let i = 0; i + 4 <= length; i += 4) bytes.writeUInt32LE(random.u32(), i);
    const path = join(folder, `${length}.bin`);
    writeFileSync(path, bytes);
    const counts: number[] = [];
    const hash = await hashFile(path, undefined, (count) => counts.push(count));
    expect(hash).toEqual({
      sha256: createHash("sha256").update(bytes).digest("hex"),
      byteLength: length,
    });
    expect(counts.reduce((sum, each) => sum + each, 0)).toBe(length);
    expect(counts).toHaveLength(Math.ceil(length / (4 * MB)));
  });

  test("can be interrupted between pieces", async () => {
    const path = join(folder, "long.bin");
    writeFileSync(path, Buffer.alloc(9 * MB));
    const abort = new AbortController();
    let pieces = 0;
    const run = hashFile(path, abort.signal, () => {
      pieces++;
      abort.abort(new Error("stopped"));
    });
    await expect(run).rejects.toThrow("stopped");
    expect(pieces).toBe(1);
  });
});

describe("what is pushed", () => {
  const file = join(folder, "a.gguf");
  const bytes = Buffer.from("GGUF and more");
  writeFileSync(file, bytes);
  const gguf: PushedFile = {
    path: "a.gguf",
    byteLength: bytes.length,
    sha256: sha256(bytes),
    content: { file },
  };
  const text = (path: string, content: string): PushedFile => {
    const own = Buffer.from(content);
    return { path, byteLength: own.length, sha256: sha256(own), content: { text: content } };
  };
  const push = (files: readonly PushedFile[], options = {}) =>
    pushFiles(client(), parseHubReference("hf:me/model"), files, { title: "t", ...options });

  test("a signal ends it before the commit", async () => {
    const abort = new AbortController();
    hub.fault = ({ isHub }) => {
      if (!isHub) abort.abort(new Error("stopped"));
      return undefined;
    };
    await expect(push([gguf], { signal: abort.signal })).rejects.toThrow("stopped");
    expect(hub.requests.filter(({ path }) => path.includes("/commit/"))).toEqual([]);
    expect(hub.files!.size).toBe(0);
  });

  test("a text of the same git hash is there already, and a file of no known hash is not", async () => {
    const card = "# Größe\n";
    hub.files!.set("README.md", Buffer.from(card));
    expect((await push([text("README.md", card)])).unchanged).toEqual(["README.md"]);
    await expect(push([text("README.md", "# Other\n")])).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("README.md"),
    });
    // what the repository has as small, and is pushed as a file
    hub.files!.set("b.bin", bytes);
    await expect(push([{ ...gguf, path: "b.bin" }])).rejects.toMatchObject({ code: "usage" });
  });

  test("progress ends with all bytes of all files", async () => {
    const seen: [number, number, string][] = [];
    const card = text("README.md", "# Card\n");
    await push([gguf, card], {
      onProgress: (...all: [number, number, string]) => seen.push(all),
    });
    const total = bytes.length + card.byteLength;
    expect(seen.every(([done, all]) => done <= total && all === total)).toBe(true);
    expect(seen.at(-1)![0]).toBe(bytes.length); // the card goes along in the commit
  });
});
