import * as fs from "node:fs";
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { RepositoryCache } from "../../src/hub/cache.js";
import { fetchModel } from "../../src/hub/fetch-model.js";
import { parseHubReference } from "../../src/hub/reference.js";
import { COMMIT, FakeHub, hubSettings } from "../support/hub-server.js";
import { scratchFolder } from "../support/scratch.js";

// A cache on a file system without links, or that may not be written to.

vi.mock("node:fs", async (original) => {
  const real = await original<typeof fs>();
  const watched = (name: "symlinkSync" | "linkSync" | "writeFileSync" | "openSync" | "closeSync") =>
    vi.fn(real[name] as () => void);
  return {
    ...real,
    symlinkSync: watched("symlinkSync"),
    linkSync: watched("linkSync"),
    writeFileSync: watched("writeFileSync"),
    openSync: watched("openSync"),
    closeSync: watched("closeSync"),
  };
});

const scratch = scratchFolder();
const WEIGHTS = Buffer.alloc(3000, "weights");
const hub = new FakeHub({ "config.json": "{}", "model.safetensors": WEIGHTS });
await hub.start();
afterAll(() => hub.stop());
beforeEach(() => vi.resetAllMocks());

let caches = 0;
const get = (cache = join(scratch, `${caches++}`)) =>
  fetchModel(parseHubReference("hf:test/model"), hubSettings(hub.endpoint, cache));

const refuse = (call: unknown, code: string) =>
  vi.mocked(call as () => void).mockImplementation(() => {
    throw Object.assign(new Error(code), { code });
  });

test.each(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"])(
  "where symbolic links end with %s, entries are hard links",
  async (code) => {
    refuse(fs.symlinkSync, code);
    const { path } = await get();
    const entry = join(path, "model.safetensors");
    expect(readFileSync(entry).equals(WEIGHTS)).toBe(true);
    expect(lstatSync(entry)).toMatchObject({ nlink: 2 });
    expect(lstatSync(entry).isSymbolicLink()).toBe(false);
  },
);

test.each(["EXDEV", "EMLINK", "EPERM"])(
  "where hard links end with %s too, entries are copies",
  async (code) => {
    refuse(fs.symlinkSync, "EPERM");
    refuse(fs.linkSync, code);
    const { path } = await get();
    const entry = join(path, "model.safetensors");
    expect(readFileSync(entry).equals(WEIGHTS)).toBe(true);
    expect(lstatSync(entry)).toMatchObject({ nlink: 1 });
  },
);

test("what is wrong with the disk is no reason for another kind of link", async () => {
  refuse(fs.symlinkSync, "EIO");
  await expect(get()).rejects.toMatchObject({ cause: { code: "EIO" } });
  expect(fs.linkSync).not.toHaveBeenCalled();
});

function refuseRefs(code: string): void {
  const real = vi.mocked(fs.writeFileSync).getMockImplementation()!;
  vi.mocked(fs.writeFileSync).mockImplementation((file, ...rest) => {
    if (/[\\/]refs[\\/]/.test(`${file}`)) throw Object.assign(new Error(code), { code });
    real(file, ...rest);
  });
}

test.each(["EROFS", "EACCES", "EPERM"])(
  "a cache whose refs end with %s still has what is there",
  async (code) => {
    refuseRefs(code);
    const cache = join(scratch, `refs-${code}`);
    const { path, commit } = await get(cache);
    expect(commit).toBe(COMMIT);
    expect(readFileSync(join(path, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(existsSync(join(cache, "models--test--model", "refs", "main"))).toBe(false);
  },
);

test("one whose disk is full is refused", async () => {
  refuse(fs.writeFileSync, "ENOSPC");
  await expect(get()).rejects.toMatchObject({ code: "no-space", cause: { code: "ENOSPC" } });
});

test("nor is one that is full when the refs are written taken for one to read", async () => {
  refuseRefs("ENOSPC");
  await expect(get()).rejects.toMatchObject({ code: "no-space", cause: { code: "ENOSPC" } });
});

test("every file that is opened is closed", async () => {
  await get();
  const opened = vi
    .mocked(fs.openSync)
    .mock.results.flatMap(({ type, value }) => (type === "return" ? [value] : []));
  const closed = vi.mocked(fs.closeSync).mock.calls.map(([fd]) => fd);
  expect(opened.length).toBeGreaterThanOrEqual(2); // one growing blob for each file
  expect(closed.sort()).toEqual(opened.sort());
});

// huggingface_hub takes 40 lower-case hexadecimal digits for a commit, and all else for a branch or tag.
test.each<[string, boolean]>([
  ["a".repeat(40), true],
  ["0123456789abcdef".repeat(3).slice(8), true],
  ["a".repeat(39), false],
  ["a".repeat(41), false],
  ["A".repeat(40), false],
  [`g${"a".repeat(40)}`, false],
  [`${"a".repeat(40)}/x`, false],
  [`${"a".repeat(39)}g`, false],
])("%s: a commit is %s", (revision, isCommit) => {
  const folder = join(scratch, "revisions", `${caches++}`);
  const cache = new RepositoryCache(folder, parseHubReference("hf:test/model"));
  const repository = join(folder, "models--test--model");
  expect(cache.knownCommit(revision)).toBeUndefined();
  fs.mkdirSync(cache.snapshotPath(revision), { recursive: true });
  expect(cache.knownCommit(revision)).toBe(isCommit ? revision : undefined);
  fs.mkdirSync(cache.snapshotPath(COMMIT), { recursive: true });
  cache.noteCommit(revision, COMMIT);
  const ref = join(repository, "refs", revision);
  expect(existsSync(ref) ? readFileSync(ref, "utf8") : undefined).toBe(isCommit ? undefined : COMMIT);
  expect(cache.knownCommit(revision)).toBe(isCommit ? revision : COMMIT);
  // and a ref is believed if it names a commit
  fs.mkdirSync(join(repository, "refs"), { recursive: true });
  fs.writeFileSync(join(repository, "refs", "tag"), revision);
  expect(cache.knownCommit("tag")).toBe(isCommit ? revision : undefined);
});
