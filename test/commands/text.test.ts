import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { decodeText } from "../../src/commands/shared/encoding.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const TEXT = new URL("../../samples/text.txt", import.meta.url).pathname;
const folder = scratchFolder();

const CHINESE =
  "北京是中华人民共和国的首都，也是全国的政治中心、文化中心。它有三千多年的历史（“燕京”）。\nLLM 模型\n";
const FRENCH =
  "L’élève préféré a mangé une crêpe à la crème brûlée. Où est l’hôtel ? Ça dépend.\n".replaceAll("’", "'");
const JAPANESE = "東京は日本の首都です。ひらがなとカタカナがあります。\n";
const KOREAN = "서울은 대한민국의 수도이다. 한글은 소리글자이다.\n";
const TRADITIONAL = "臺灣的首都是臺北，這裡使用繁體中文書寫。\n";

/** The text as iconv writes it. */
function iconv(text: string, encoding: string): Uint8Array {
  const { status, stdout } = spawnSync("iconv", ["-f", "UTF-8", "-t", encoding], { input: text });
  expect(status).toBe(0);
  return stdout;
}

describe("texts of other encodings", () => {
  test.each([
    [CHINESE, "UTF-8", undefined],
    [CHINESE, "GB18030", "is GB18030"],
    [CHINESE, "GBK", "is GB18030"],
    [CHINESE, "UTF-16LE", undefined],
    [FRENCH, "UTF-8", undefined],
    [FRENCH, "UTF-16LE", "is UTF-16 (little-endian) without"],
    [FRENCH, "UTF-16BE", "is UTF-16 (big-endian) without"],
    [FRENCH, "UTF-16", "is UTF-16 (little-endian),"],
    [CHINESE, "UTF-16", "is UTF-16 (little-endian),"],
    ["plain\n", "UTF-8", undefined],
  ])("%s in %s is read as iconv wrote it, and said", (text, encoding, remark) => {
    const bytes = iconv(text, encoding);
    if (encoding === "UTF-16LE" && text === CHINESE) {
      // Nothing tells Chinese in UTF-16 without a mark from other bytes: refused, not guessed.
      expect(() => decodeText("t", bytes)).toThrow("not UTF-8 text");
      return;
    }
    const decoded = decodeText("t", bytes);
    expect(decoded.text).toBe(text);
    expect(decoded.remarks).toEqual(remark === undefined ? [] : [expect.stringContaining(remark)]);
  });

  test.each([
    ["half a character", [0xff, 0xfe, 0x61]],
    ["half a pair", [0xff, 0xfe, 0x00, 0xd8, 0x61, 0x00]],
  ])("UTF-16 with %s is refused", (_, bytes) => {
    expect(() => decodeText("t", Uint8Array.from(bytes))).toThrow("not UTF-8 text, nor UTF-16");
  });

  test.each([
    [FRENCH, "ISO-8859-1"],
    [FRENCH, "WINDOWS-1252"],
    [JAPANESE, "SHIFT_JIS"],
    [JAPANESE, "EUC-JP"],
    [KOREAN, "EUC-KR"],
    [TRADITIONAL, "BIG5"],
  ])("%s in %s is refused with the command that converts it", (text, encoding) => {
    const bytes = iconv(text, encoding);
    expect(() => decodeText("t.txt", bytes)).toThrow("t.txt: not UTF-8 text, nor UTF-16 or GB18030");
    writeFileSync(join(folder, "other.txt"), bytes);
    const { status, stderr } = llq(["eval-ppl", TINY_LLAMA, "other.txt"]);
    expect({ status, stderr }).toEqual({
      status: 3,
      stderr: expect.stringContaining("hint: iconv -f ISO-8859-1 -t UTF-8 other.txt > utf8.txt"),
    });
  });

  test("marks and line ends of Windows are taken off, and said; mixed ones stay", () => {
    const { text, remarks } = decodeText("t", Buffer.from("\ufeffa\r\nb\r\n"));
    expect(text).toBe("a\nb\n");
    expect(remarks.join()).toMatch(/byte-order mark.*CR LF/);
    expect(decodeText("t", Buffer.from("a\r\nb\nc\rd"))).toEqual({ text: "a\r\nb\nc\rd", remarks: [] });
    expect(decodeText("t", iconv("\ufeffa\r\n", "UTF-16LE")).text).toBe("a\n");
  });
});

function llq(args: readonly string[], input?: string | Uint8Array) {
  return spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", cwd: folder, input });
}

describe("in commands", () => {
  const small = ["-c", "32", "--chunks", "4", "--json"];
  const start = readFileSync(TEXT, "utf8").slice(0, 2000);
  writeFileSync(join(folder, "utf8.txt"), start);
  const perplexity = (args: string[], input?: string | Uint8Array) => {
    const { status, stdout, stderr } = llq(["eval-ppl", TINY_LLAMA, ...args, ...small], input);
    expect({ status, stdout }).toMatchObject({ status: 0 });
    return { perplexity: JSON.parse(stdout).perplexity, stderr };
  };
  const expected = perplexity(["utf8.txt"]);

  test("stdin is a text, for every model that reads it", () => {
    expect(perplexity(["-"], start)).toEqual(expected);
    const compare = ["compare", TINY_LLAMA, TINY_LLAMA, "--text", "-", ...small];
    const { models } = JSON.parse(llq(compare, start).stdout);
    expect(models[0].perplexity).toBe(expected.perplexity);
  });

  test("a text of Windows has the perplexity that it has elsewhere, with a warning", () => {
    writeFileSync(join(folder, "windows.txt"), iconv(`\ufeff${start.replaceAll("\n", "\r\n")}`, "UTF-16LE"));
    const found = perplexity(["windows.txt"]);
    expect(found.perplexity).toBe(expected.perplexity);
    expect(found.stderr).toContain("warning: windows.txt: is UTF-16");
    expect(found.stderr).toContain("CR LF");
  });

  test.each([
    ["quantize", TINY_LLAMA, "--bits", "4"],
    ["convert", TINY_LLAMA],
    ["copy", new URL("../golden/gguf-tools/mixed.gguf", import.meta.url).pathname],
    ["imatrix", TINY_LLAMA, TEXT],
  ])("%s to stdout is refused", (...args) => {
    const { status, stdout, stderr } = llq([...args, "-o", "-"]);
    expect({ status, stdout, stderr }).toEqual({
      ...{ status: 2, stdout: "" },
      stderr: expect.stringContaining("which stdout cannot be\n hint: name a file; ./- is one of that name"),
    });
    expect(existsSync(join(folder, "-"))).toBe(false);
  });
});
