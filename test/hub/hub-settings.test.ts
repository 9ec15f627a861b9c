import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { formatHubReference, isHubReference, parseHubReference } from "../../src/hub/reference.js";
import { readHubSettings } from "../../src/hub/settings.js";
import { refusal } from "../support/build/build.js";
import { scratchFolder } from "../support/scratch.js";

const folder = scratchFolder();
/** A name has at most 96 characters. */
const LONGEST = "n".repeat(96);

describe("references", () => {
  test.each([
    ["hf:a/b", { owner: "a", name: "b", path: "", revision: "main" }],
    ["hf:a/b.c-d@v1.0", { owner: "a", name: "b.c-d", path: "", revision: "v1.0" }],
    ["hf:a/b/c/d.gguf", { owner: "a", name: "b", path: "c/d.gguf", revision: "main" }],
    ["hf:a/b/d.gguf@refs/pr/1", { owner: "a", name: "b", path: "d.gguf", revision: "refs/pr/1" }],
    ["hf:a/b@v1@2", { owner: "a", name: "b", path: "", revision: "v1@2" }],
    ["hf:a/b/", { owner: "a", name: "b", path: "", revision: "main" }],
    ["hf:_a/B_9.x-y", { owner: "_a", name: "B_9.x-y", path: "", revision: "main" }],
    [`hf:${LONGEST}/${LONGEST}`, { owner: LONGEST, name: LONGEST, path: "", revision: "main" }],
    [`hf:a/b@${"r".repeat(1024)}`, { owner: "a", name: "b", path: "", revision: "r".repeat(1024) }],
  ])("%s", (reference, parsed) => {
    expect(parseHubReference(reference)).toEqual(parsed);
  });

  test.each([
    ["hf:gpt2", "names no repository of the Hub"],
    ["hf:a/", '"" is no name of an owner or a repository'],
    ["hf:../b", '".." is no name of an owner or a repository'],
    ["hf:a/b--c", '"b--c" is no name of an owner or a repository'],
    ["hf:a/long--name", '"long--name" is no name of an owner or a repository'],
    ["hf:a/long..name", '"long..name" is no name of an owner or a repository'],
    ["hf:a/b/c/./d", '"c/./d" is no path inside a repository'],
    ["hf:a/b@", '"" is no name of a branch, a tag or a commit'],
    ["hf:a/b@../../x", '"../../x" is no name of a branch, a tag or a commit'],
    ["hf:a/b/../c", '"../c" is no path inside a repository'],
    ["hf:a/b//c", '"/c" is no path inside a repository'],
    ["hf:a/b@main/c.gguf", "the revision comes last"],
    ["hf:a/b@main/c.safetensors", "the revision comes last"],
    ["hf:a@v/hf:b/c", "names no repository of the Hub"],
    ["xhf:a/b", "names no repository of the Hub"],
    ["hf:a/b@v\n1", '"v\\n1" is no name of a branch, a tag or a commit'],
    ["hf:.a/b", '".a" is no name of an owner or a repository'],
    ["hf:a/-b", '"-b" is no name of an owner or a repository'],
    ["hf:a/b.", '"b." is no name of an owner or a repository'],
    ["hf:a-/b", '"a-" is no name of an owner or a repository'],
    ["hf:a/b..c", '"b..c" is no name of an owner or a repository'],
    ["hf:a/b c", '"b c" is no name of an owner or a repository'],
    ["hf:a/é", '"é" is no name of an owner or a repository'],
    [`hf:a/${LONGEST}n`, `"${LONGEST}n" is no name of an owner or a repository`],
    [`hf:a/b@${"r".repeat(1025)}`, `"${"r".repeat(1025)}" is no name of a branch, a tag or a commit`],
    ["hf:a/b/./c", '"./c" is no path inside a repository'],
    ["hf:a/b/c/", '"c/" is no path inside a repository'],
    ["hf:a/b/c\\d", '"c\\\\d" is no path inside a repository'],
    ["hf:a/b/C:d", '"C:d" is no path inside a repository'],
    ["hf:a/b/c\u0000", '"c\\u0000" is no path inside a repository'],
  ])("%s is refused", (text, message) => {
    expect(refusal(() => parseHubReference(text))).toBe(`usage: ${text}: ${message}`);
  });
});

test("references are shown as they are written", () => {
  for (const text of ["hf:a/b", "hf:a/b@v1", "hf:a/b/c.gguf", "hf:a/b/c/d.gguf@refs/pr/1"]) {
    expect(formatHubReference(parseHubReference(text))).toBe(text);
    expect(isHubReference(text)).toBe(true);
  }
  expect(formatHubReference(parseHubReference("hf:a/b@main"))).toBe("hf:a/b");
  expect(["./hf:a/b", "HF:a/b", "hf", ""].filter(isHubReference)).toEqual([]);
});

describe("the environment", () => {
  const read = (env: Record<string, string>) => readHubSettings({ HF_HOME: join(folder, "home"), ...env });

  test("defaults are those of huggingface_hub", () => {
    const { endpoint, cache, token, offline } = readHubSettings({ XDG_CACHE_HOME: "/x" });
    expect({ endpoint, cache, token, offline }).toEqual({
      endpoint: "https://huggingface.co",
      cache: "/x/huggingface/hub",
      token: undefined,
      offline: false,
    });
    expect(read({}).cache).toBe(join(folder, "home/hub"));
    expect(read({ HF_HUB_CACHE: "/y" }).cache).toBe("/y");
    expect(readHubSettings({ HF_HOME: "here" }).cache).toBe(join(process.cwd(), "here/hub"));
    expect(read({ HF_ENDPOINT: "https://mirror.example/" }).endpoint).toBe("https://mirror.example");
    expect(["1", "true", "YES", "0", ""].map((value) => read({ HF_HUB_OFFLINE: value }).offline)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test("the token is HF_TOKEN, or in the file that logging in has left", () => {
    mkdirSync(join(folder, "home"), { recursive: true });
    writeFileSync(join(folder, "home/token"), "hf_file\n");
    expect(read({}).token).toBe("hf_file");
    expect(read({ HF_TOKEN: " hf_env " }).token).toBe("hf_env");
    expect(read({ HF_TOKEN_PATH: join(folder, "nowhere") }).token).toBeUndefined();
    expect(read({ HF_TOKEN: "hf_env", HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }).token).toBeUndefined();
  });

  test("an endpoint that is no address", () => {
    expect(refusal(() => read({ HF_ENDPOINT: "hub" }))).toBe("usage: HF_ENDPOINT hub: not an address");
  });
});
