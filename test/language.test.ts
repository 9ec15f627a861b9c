import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { LlqError } from "../formats/errors.js";
import {
  fingerprint,
  LANGUAGES as IN_RELEASE,
  problemsOf,
  readCatalogue,
  readSources,
} from "../release/messages.mjs";
import { useLanguage } from "../src/language/catalogue.js";
import { LANGUAGES, wantedLanguage } from "../src/language/language.js";
import { fingerprint as fingerprintHere, keyOf, t } from "../src/language/t.js";
import { cutText, padText, textWidth, wrapText } from "../src/language/width.js";
import { openModel } from "../src/model.js";
import { WorkerPool } from "../src/run/threads/pool.js";

const CLI = new URL("../dist/program/cli.js", import.meta.url).pathname;

afterEach(() => useLanguage("en"));

describe("catalogues", () => {
  const { said, problems } = readSources();

  test("all that people read goes through t, when the language is known", () => {
    expect(said.size).toBeGreaterThan(1500);
    expect(problems).toEqual([]);
  });

  test.each(IN_RELEASE)("%s has every sentence with its values, and no other", (language) => {
    expect(problemsOf(language, said)).toEqual([]);
  });

  test("a sentence that is missing, stale or short of a value is said with what to do", () => {
    const [known] = readCatalogue("zh");
    const some = new Map([...said].filter(([key]) => key !== known!.key));
    some.set("{0} is new", { file: "src/hub/http.ts", at: "src/hub/http.ts:7" });
    expect(problemsOf("zh", some)).toEqual([
      `${known!.file}: no source says ${JSON.stringify(known!.key)}: remove it, or correct the English`,
      'src/hub/http.ts:7: not in zh: add to src/language/zh/hub.json the line "{0} is new": "..."',
    ]);
  });

  test("no two sentences have one fingerprint, and the program reckons it as the release does", () => {
    const keys = [...said.keys()];
    expect(new Set(keys.map(fingerprint)).size).toBe(keys.length);
    for (const key of keys) expect(fingerprintHere(key)).toBe(fingerprint(key));
    expect(LANGUAGES.slice(1)).toEqual(IN_RELEASE);
    expect(keyOf(["a ", " of ", ""])).toBe("a {0} of {1}");
  });
});

test("t is plain English unless another language is spoken, with values where that has them", () => {
  const say = () => t`tensor ${"a{0}"} is ${"b"}, but ${"c"} is ${"d"}`;
  expect(say()).toBe("tensor a{0} is b, but c is d");
  useLanguage("zh");
  expect(say()).toBe("张量 a{0} 为 b，但 c 为 d");
  expect(t`nobody has translated ${1}`).toBe("nobody has translated 1");
  useLanguage("en");
  expect(say()).toBe("tensor a{0} is b, but c is d");
});

test.each([
  [["--lang", "zh"], {}, "zh"],
  [["inspect", "m", "--lang=zh"], { LANG: "en_US.UTF-8" }, "zh"],
  [["--lang", "en"], { LC_ALL: "zh_CN.UTF-8" }, "en"],
  [["generate", "m", "--", "--lang", "zh"], {}, "en"],
  [[], { LANG: "zh_TW" }, "zh"],
  [[], { LC_ALL: "C", LANG: "zh_CN" }, "en"],
  [[], { LC_ALL: "", LC_MESSAGES: "zh_CN", LANG: "de_DE" }, "zh"],
  [[], { LANG: "zhuang" }, "en"],
  [[], {}, "en"],
])("%j with %j is %s", (args, env, language) => {
  expect(wantedLanguage(args, env)).toBe(language);
});

test("errors of the library and of threads are in the language that is spoken", async () => {
  const wrong = () => openModel("no-such-model");
  expect(wrong).toThrow("no-such-model: no such file or folder");
  useLanguage("zh");
  expect(wrong).toThrow("no-such-model: 没有这个文件或文件夹");
  const pool = new WorkerPool(1);
  try {
    await pool.close();
    await expect(pool.run({ name: "none", run: () => 0, about: () => "" }, 0)).rejects.toThrow(LlqError);
    await expect(pool.run({ name: "none", run: () => 0, about: () => "" }, 0)).rejects.toThrow("工作被停止");
  } finally {
    await pool.close();
  }
});

function llq(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    env: { ...process.env, LC_ALL: "", ...env },
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

test("an error of a program is JSON with the same code, file and tensor in every language", () => {
  const args = ["inspect", "no-such-model", "--json"];
  const [english, chinese] = ["en", "zh"].map((lang) => JSON.parse(llq([...args, "--lang", lang]).stdout));
  expect(english.error).toEqual({ code: "bad-input", message: expect.any(String), hint: expect.any(String) });
  expect(chinese.error).toMatchObject({ code: "bad-input", message: "no-such-model: 没有这个文件或文件夹" });
  expect(llq(["inspect", "m", "--lang", "fr"])).toMatchObject({ status: 2, stdout: "" });
});

test("help is in the language of the system, and no description is left in English", () => {
  const chinese = llq(["--help"], { LANG: "zh_CN.UTF-8" }).stdout;
  expect(chinese).toContain("用法:");
  const english = llq(["--help"], { LANG: "en_US.UTF-8" }).stdout;
  const commands = [...english.matchAll(/^ {2}([a-z][\w-]*) .*\S/gm)].map(([, name]) => name!);
  expect(commands.length).toBeGreaterThan(15);
  for (const command of commands.filter((name) => name !== "help")) {
    const { stdout } = llq([command, "--help"], { LANG: "zh_CN.UTF-8" });
    const options = stdout
      .slice(0, stdout.indexOf("示例："))
      .split(/\n {2}(?=-)/)
      .slice(1);
    expect(options.length).toBeGreaterThan(2);
    expect(stdout, command).not.toContain("model folder"); // said as soon as its module is loaded
    for (const option of options) expect(option, command).toMatch(/[\u4e00-\u9fff]/);
  }
}, 240_000);

test("columns of a terminal: characters of Chinese take two", () => {
  expect(textWidth("量化 Q4_K，")).toBe(11);
  expect(padText("量化", 6)).toBe("量化  ");
  expect(padText("量化", 6, "start")).toBe("  量化");
  expect(cutText("abc", 3)).toBe("abc");
  expect(textWidth(cutText("把大语言模型的权重变成小设备跑得动的文件", 15))).toBeLessThanOrEqual(15);
  const text = "把大语言模型的权重变成 GGUF 文件（例如 Q4_K_M），小设备也跑得动。\n第二行";
  const lines = wrapText(text, 20).split("\n");
  expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll("\n", "").replaceAll(" ", ""));
  for (const line of lines) {
    expect(textWidth(line)).toBeLessThanOrEqual(22); // a mark may stand in the margin
    expect(line).not.toMatch(/^[，。；：、）]/);
  }
  expect(lines.at(-1)).toBe("第二行");
});

test("to start, one chunk is loaded, and no language", () => {
  for (const name of ["program", "main"]) {
    const code = readFileSync(new URL(`../dist/program/${name}.js`, import.meta.url), "utf8");
    expect([...code.matchAll(/from"(\.[^"]*)"/g)].map(([, from]) => from)).toEqual(["./base.js"]);
  }
});

test("what the README says of languages is so", () => {
  const readme = readFileSync(new URL("../README.zh-CN.md", import.meta.url), "utf8");
  expect(readme).toContain("--lang zh");
});
