import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { HubClient } from "../../src/hub/http.js";
import { hashFile, type PushedFile, type PushOptions, pushFiles } from "../../src/hub/push.js";
import { parseHubReference } from "../../src/hub/reference.js";
import { hubSettings, sha256 } from "../support/hub-server.js";
import { scratchFolder } from "../support/scratch.js";
import { FakeUploads, type SentRequest, type Spoilt } from "./push-server.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
/** Some GGUF file, which is one whatever it means. */
const GGUF = readFileSync(new URL("../golden/imatrix/moe.gguf", import.meta.url));
const folder = scratchFolder();
const file = join(folder, "a.gguf");
writeFileSync(file, GGUF);

const hub = new FakeUploads();
await hub.start();
afterAll(() => hub.stop());

beforeEach(() => hub.reset({ ".gitattributes": "*.gguf filter=lfs" }));

const README: PushedFile = {
  path: "README.md",
  byteLength: 2,
  sha256: sha256(Buffer.from("# ")),
  content: { text: "# " },
};

async function push(options: Partial<PushOptions> = {}, endpoint = hub.endpoint) {
  const settings = hubSettings(endpoint, folder, { token: hub.token });
  const files = [
    { path: "a.gguf", ...(await hashFile(file, undefined, () => {})), content: { file } },
    README,
  ];
  return pushFiles(new HubClient(settings), parseHubReference("hf:me/model"), files, {
    title: "t",
    ...options,
  });
}

const asked = (part: string) => hub.requests.filter(({ path }) => path.includes(part));

describe("files come to the repository", () => {
  test.each([0, 4000])("in parts of %i bytes, with the token for the endpoint alone", async (partSize) => {
    hub.partSize = partSize;
    const seen: number[] = [];
    const { commit, unchanged } = await push({ onProgress: (done) => seen.push(done) });
    expect(commit).toMatch(/^beef0+$/);
    expect(unchanged).toEqual([]);
    expect(hub.files!.get("a.gguf")).toEqual(GGUF);
    expect(String(hub.files!.get("README.md"))).toBe("# ");
    expect(seen.at(-1)).toBeGreaterThanOrEqual(GGUF.length);
    const outside = hub.requests.filter(({ isHub }) => !isHub);
    expect(outside.length).toBe(partSize === 0 ? 1 : Math.ceil(GGUF.length / partSize));
    expect(outside.map(({ authorization }) => authorization).filter(Boolean)).toEqual([]);
  });

  test("what is there already is not sent again, and what differs is not replaced unasked", async () => {
    await push();
    const { unchanged } = await push();
    expect(unchanged).toEqual(["a.gguf", "README.md"]);
    expect(asked("/storage/")).toHaveLength(1);
    hub.files!.set("a.gguf", Buffer.from("other"));
    await expect(push()).rejects.toMatchObject({ code: "usage", hint: expect.stringContaining("--force") });
    expect(String(hub.files!.get("a.gguf"))).toBe("other");
    await push({ force: true });
    expect(hub.files!.get("a.gguf")).toEqual(GGUF);
  });

  test("a repository is created when that is asked for only", async () => {
    hub.files = undefined;
    await expect(push()).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringMatching(/no such repository/),
    });
    await push({ create: "private" });
    expect(JSON.parse(String(asked("/repos/create")[0]!.body))).toMatchObject({
      name: "model",
      visibility: "private",
    });
    expect(hub.files!.get("a.gguf")).toEqual(GGUF);
    await push({ create: "private" });
  });

  test("what may pass is tried again", async () => {
    hub.fault = (_, before) => (before === 0 ? { status: 503 } : undefined);
    await push();
    expect(hub.files!.get("a.gguf")).toEqual(GGUF);
  });
});

describe("answers that are none", () => {
  const at = (part: string, spoilt: Spoilt) => (request: SentRequest) =>
    request.path.includes(part) && request.method !== "GET" ? spoilt : undefined;
  const json = (value: unknown): Spoilt => ({ body: JSON.stringify(value) });
  const oid = sha256(GGUF);
  const upload = (href: string) =>
    json({ transfer: "basic", objects: [{ oid, size: 1, actions: { upload: { href } } }] });

  test.each<[string, string, Spoilt, RegExp]>([
    [
      "a redirect of the files",
      "/storage/",
      { status: 307, headers: { location: "http://127.0.0.1:1/" } },
      /sends elsewhere/,
    ],
    ["a redirect of the commit", "/commit/", { status: 308, headers: { location: "/x" } }, /sends elsewhere/],
    ["no JSON", "/preupload/", { body: "<html>" }, /no valid answer/],
    ["nothing about the files", "/preupload/", json({ files: [] }), /says nothing of a\.gguf/],
    [
      "a mode that is none",
      "/preupload/",
      json({ files: [{ path: "a.gguf", uploadMode: "x" }] }),
      /no valid answer/,
    ],
    ["nested JSON", "/preupload/", { body: "[".repeat(100_000) }, /no valid answer/],
    ["too long an answer", "/batch", { body: Buffer.alloc(17 << 20, " ") }, /more than \d+ bytes/],
    ["a batch without objects", "/batch", json({}), /no valid answer/],
    [
      "hashes of others",
      "/batch",
      json({
        objects: [{ oid: "0".repeat(64), size: 1, actions: { upload: { href: "http://127.0.0.1:1" } } }],
      }),
      /no valid answer/,
    ],
    ["an address that is none", "/batch", upload("nowhere"), /no valid answer/],
    ["a file's address", "/batch", upload("file:///etc/passwd"), /cannot be reached|no valid answer/],
    [
      "a commit without a hash",
      "/commit/",
      json({ commitOid: "<script>", commitUrl: "x" }),
      /no valid answer/,
    ],
    ["no permission", "/preupload/", { status: 403 }, /access is refused/],
    ["a full storage", "/storage/", { status: 507, body: "secret" }, /status 507/],
  ])("%s", async (_, part, spoilt, message) => {
    hub.fault = at(part, spoilt);
    const error = await push().then(
      () => expect.unreachable(),
      (cause: unknown) => cause as Error & { code: string; hint: string },
    );
    expect(error.code).toBe("network");
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(
      part === "/commit/" ? /the commit was sent/ : /nothing of it is visible there/,
    );
    const said = `${error.message} ${error.hint}`;
    for (const secret of [hub.token, "signature", "hidden", "secret"]) expect(said).not.toContain(secret);
    expect(hub.files!.has("a.gguf")).toBe(false);
  });

  test("files do not leave an encrypted endpoint unencrypted", async () => {
    const { sendThrough } = await import("../../src/hub/send.js");
    const settings = hubSettings("https://hub.example", folder, { token: "x" });
    const send = sendThrough(new HubClient(settings), [], () => {});
    await expect(send("http://storage.example/x", { method: "PUT", body: "x" })).rejects.toThrow(
      /not encrypted/,
    );
  });

  test("a file that changes after its hash was taken", async () => {
    const changed = join(folder, "changed.gguf");
    writeFileSync(changed, "GGUF one");
    const hash = await hashFile(changed, undefined, () => {});
    writeFileSync(changed, "GGUF two");
    const settings = hubSettings(hub.endpoint, folder, { token: hub.token });
    const files = [{ path: "changed.gguf", ...hash, content: { file: changed } }];
    const run = pushFiles(new HubClient(settings), parseHubReference("hf:me/model"), files, { title: "t" });
    await expect(run).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringMatching(/has changed/),
    });
  });
});

describe("llq push", () => {
  async function llq(args: string[], env: Record<string, string> = {}) {
    const own = { HF_HOME: folder, HF_ENDPOINT: hub.endpoint, HF_TOKEN: hub.token, ...env };
    const child = spawn(process.execPath, [CLI, "push", ...args], {
      cwd: folder,
      env: { ...process.env, ...own },
    });
    const [stdout, stderr, [status]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    return { status, stdout, stderr };
  }
  const results = {
    schema: 1,
    text: "/home/me/wiki.raw",
    context: 512,
    chunks: 4,
    base: { model: "./base", perplexity: 9, error: 0.5 },
    models: [
      {
        model: "./a.gguf",
        perplexity: 10,
        error: 0.5,
        divergence: { kld: { value: 0.1, error: 0.01 }, sameTop: { value: 0.9, error: 0.01 } },
      },
    ],
  };
  writeFileSync(join(folder, "r.json"), JSON.stringify(results));

  test("without --yes asks nobody, and shows the card", async () => {
    const { status, stdout } = await llq([
      "me/model",
      "a.gguf",
      "--results",
      "r.json",
      "--base",
      "owner/base",
      "--card",
      "card.md",
    ]);
    expect(status).toBe(0);
    expect(hub.requests).toEqual([]);
    expect(stdout).toContain("nothing was sent");
    const card = readFileSync(join(folder, "card.md"), "utf8");
    expect(stdout.endsWith(card)).toBe(true);
    expect(card).toContain(
      "| `a.gguf` | – | 9.00 KiB | 32.00 | 10.0000 ± 0.5000 | 0.100000 ± 0.010000 | 90.00 % |",
    );
    expect(card).toContain(sha256(GGUF));
    expect(card).toMatch(/^---\nlibrary_name: gguf\n(.*\n)*base_model: "owner\/base"\n/);
    expect(card).toContain("wiki.raw: 4 chunks of 512 tokens");
    expect(card).not.toContain("/home/me");
  });

  test("with --yes sends files and card, and says where they are", async () => {
    const { status, stdout, stderr } = await llq(["me/model", "a.gguf", "--results", "r.json", "--yes"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(hub.files!.get("a.gguf")).toEqual(GGUF);
    expect(String(hub.files!.get("README.md"))).toContain("10.0000");
    expect(stdout).toMatch(/me\/model: commit beef0+\n$/);
    expect(stdout).not.toContain(hub.token);
  });

  test.each<[string, string[], Record<string, string>, number, RegExp]>([
    ["without a token", ["me/model", "a.gguf", "--yes"], { HF_TOKEN: "" }, 2, /set HF_TOKEN/],
    ["with a wrong token", ["me/model", "a.gguf", "--yes"], { HF_TOKEN: "hf_wrong" }, 6, /not accepted/],
    ["offline", ["me/model", "a.gguf", "--yes"], { HF_HUB_OFFLINE: "1" }, 2, /HF_HUB_OFFLINE/],
    ["a repository that is none", ["model", "a.gguf"], {}, 2, /names no repository/],
    ["results that are none", ["me/model", "a.gguf", "--results", "a.gguf"], {}, 3, /a\.gguf/],
    ["what is no GGUF", ["me/model", "r.json"], {}, 3, /r\.json/],
    ["one file twice", ["me/model", "a.gguf", "./a.gguf"], {}, 2, /two files are called a\.gguf/],
  ])("%s", async (_, args, env, status, message) => {
    const run = await llq(args, env);
    expect(run).toMatchObject({ status, stderr: expect.stringMatching(message) });
    expect(run.stdout + run.stderr).not.toContain("hf_wrong");
    expect(hub.files!.has("a.gguf")).toBe(false);
  });
});
