import { describe, expect, test } from "vitest";
import type { MetaField } from "../../formats/container.js";
import { LlqError, nearest } from "../../formats/errors.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { parseBytes } from "../../src/quant/bytes.js";
import { editMetadata, parseSet, parseSpecialToken } from "../../src/quant/meta-edit.js";
import { parseKeyValue } from "../../src/quant/metadata.js";
import { globToRegExp, parseOverride } from "../../src/quant/recipes/override.js";

// What people write of keys, types and sizes, up to the bounds of each type and one beyond.

/** What is read, or the refusal with what to do. */
function said<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof LlqError)) throw error;
    expect(error.code).toBe("usage");
    expect(error.hint ?? "").not.toBe("");
    return error.message;
  }
}

const file = new Map<string, MetaField>([
  ["general.name", meta.string("x")],
  ["a.count", meta.u32(4)],
  ["a.list", { type: "array", item: "i32", value: [1, 2] }],
  ["a.flags", meta.bools([true])],
  ["a.nested", { type: "array", item: "array", value: [] }],
  ["tokenizer.ggml.tokens", meta.strings(["<unk>", "<s>", "</s>", "<s>", "7"])],
]);

describe("--set", () => {
  const set = (text: string) => said(() => parseSet(text, file));

  // biome-ignore format: columns
  test.each<[type: string, least: string, most: string, below: string, above: string]>([
    ["u8",  "0",                    "255",                  "-1",                   "256"],
    ["i8",  "-128",                 "127",                  "-129",                 "128"],
    ["u16", "0",                    "65535",                "-1",                   "65536"],
    ["i16", "-32768",               "32767",                "-32769",               "32768"],
    ["u32", "0",                    "4294967295",           "-1",                   "4294967296"],
    ["i32", "-2147483648",          "2147483647",           "-2147483649",          "2147483648"],
    ["u64", "0",                    "18446744073709551615", "-1",                   "18446744073709551616"],
    ["i64", "-9223372036854775808", "9223372036854775807",  "-9223372036854775809", "9223372036854775808"],
  ])("%s holds %s to %s", (type, least, most, below, above) => {
    for (const within of [least, most]) {
      const value = type.endsWith("64") ? BigInt(within) : Number(within);
      expect(set(`k=${type}:${within}`)).toEqual(["k", { type, value }]);
      expect(set(`k=${type}[]:["${within}"]`)).toContain(`items must be of type ${type}`);
    }
    for (const beyond of [below, above]) {
      const isNone = type.startsWith("u") && beyond.startsWith("-");
      const why = isNone ? `is no value of type ${type}` : `does not fit into ${type}`;
      expect(set(`k=${type}:${beyond}`)).toBe(`--set k=${type}:${beyond}: ${beyond} ${why}`);
    }
    expect(set(`k=${type}:1.5`)).toContain(`1.5 is no value of type ${type}`);
    expect(set(`k=${type}:`)).toContain(` is no value of type ${type}`);
    expect(set(`k=${type}[]:[0, 1]`)).toEqual([
      "k",
      { type: "array", item: type, value: type.endsWith("64") ? [0n, 1n] : [0, 1] },
    ]);
  });

  // biome-ignore format: columns
  test.each<[text: string, field: MetaField]>([
    ["k=f32:0.1",                    { type: "f32", value: 0.10000000149011612 }],
    ["k=f64:0.1",                    { type: "f64", value: 0.1 }],
    ["k=f32:-3e38",                  { type: "f32", value: Math.fround(-3e38) }],
    ["k=f64:1e300",                  { type: "f64", value: 1e300 }],
    ["k=bool:true",                  { type: "bool", value: true }],
    ["k=bool:false",                 { type: "bool", value: false }],
    ["k=string:a=b:c\nd",            { type: "string", value: "a=b:c\nd" }],
    ["k=string:",                    { type: "string", value: "" }],
    ["k=int:7",                      { type: "u32", value: 7 }],
    ["k=float:2",                    { type: "f32", value: 2 }],
    ["k=str:u8",                     { type: "string", value: "u8" }],
    ['k=string[]:["a", "1"]',        { type: "array", item: "string", value: ["a", "1"] }],
    ["k=bool[]:[true, false]",       { type: "array", item: "bool", value: [true, false] }],
    ["k=f32[]:[]",                   { type: "array", item: "f32", value: [] }],
    ["general.name=u16",             { type: "string", value: "u16" }],
    ["general.name=new:one",         { type: "string", value: "new:one" }],
    ["a.count=5",                    { type: "u32", value: 5 }],
    ["a.count=i8:-5",                { type: "i8", value: -5 }],
    ["a.list=[-1]",                  { type: "array", item: "i32", value: [-1] }],
    ["a.flags=[false, true]",        { type: "array", item: "bool", value: [false, true] }],
  ])("%s", (text, field) => {
    expect(set(text)).toEqual([text.slice(0, text.indexOf("=")), field]);
  });

  // biome-ignore format: columns
  test.each<[text: string, why: string]>([
    ["k",                            "not of the form key=value"],
    ["=1",                           "the key is empty"],
    ["a\u0007=int:1",                "the key has characters that cannot be printed"],
    ["k=1",                          "there is no key k yet, so its value needs a type"],
    ["k=array:[1]",                  "there is no key k yet"],
    ["k=int[]:[1]",                  "there is no key k yet"],
    ["k=bool:yes",                   "yes is no value of type bool"],
    ["k=f32:",                       " is no value of type f32"],
    ["k=f32: ",                      " is no value of type f32"],
    ["k=f32:Infinity",               "Infinity is no value of type f32"],
    ["k=f32:3.5e38",                 "3.5e38 does not fit into f32"],
    ["k=f64:1e400",                  "1e400 is no value of type f64"],
    ["k=u8[]:1",                     "an array is a JSON list, such as [1, 2]"],
    ["k=u8[]:[1",                    "an array is a JSON list, such as [1, 2]"],
    ["k=u8[]:[[1]]",                 "items must be of type u8"],
    ["k=u8[]:[null]",                "items must be of type u8"],
    ["k=string[]:[1]",               "items must be strings"],
    ["k=u8[]:[256]",                 "256 does not fit into u8"],
    ["a.count=-1",                   "-1 is no value of type u32"],
    ["a.list=3",                     "an array is a JSON list, such as [1, 2]"],
    ["a.nested=[[1]]",               "arrays of arrays cannot be set"],
    ["general.alignment=u32:64",     "the alignment cannot be chosen"],
    ["split.no=u16:1",               "which part a file is cannot be chosen"],
  ])("%j is refused", (text, why) => {
    expect(set(text)).toContain(`--set ${text}: `);
    expect(set(text)).toContain(why);
  });

  test("a long one is shown in part", () => {
    expect(set(`k=u8:${"9".repeat(95)}`)).toMatch(/^--set k=u8:9{95}: /); // 100 characters
    expect(set(`k=u8:${"9".repeat(96)}`)).toMatch(/^--set k=u8:9{92}\.\.\.: /);
  });
});

describe("--special-token", () => {
  const special = (text: string, metadata = file) => said(() => parseSpecialToken(text, metadata));

  // biome-ignore format: columns
  test.each<[text: string, key: string, id: number]>([
    ["bos=<s>",           "bos_token_id",       1],
    ["eos=</s>",          "eos_token_id",       2],
    ["unk=<unk>",         "unknown_token_id",   0],
    ["unknown=0",         "unknown_token_id",   0],
    ["pad=4",             "padding_token_id",   4],
    ["sep=7",             "seperator_token_id", 7],
    ["fim_pre=<unk>",     "fim_pre_token_id",   0],
    ["fim_mid=3",         "fim_mid_token_id",   3],
  ])("%s", (text, key, id) => {
    const read = special(text);
    if (id === 7) expect(read).toBe("--special-token sep=7: the vocabulary has 5 tokens, the last is 4");
    else expect(read).toEqual([`tokenizer.ggml.${key}`, { type: "u32", value: id }]);
  });

  // biome-ignore format: columns
  test.each([
    ["bos",       "not of the form name=token"],
    ["bos=",      "not of the form name=token"],
    ["gmask=1",   undefined], // llq's own, by its key's name alone
    ["boss=1",    "unknown special token boss"],
    ["bos=<x>",   "<x> is not in the vocabulary"],
    ["bos=5",     "the vocabulary has 5 tokens, the last is 4"],
  ])("%s", (text, why) => {
    if (why === undefined) expect(special(text)).toBe("--special-token gmask=1: unknown special token gmask");
    else expect(special(text)).toBe(`--special-token ${text}: ${why}`);
  });

  test("without a vocabulary", () => {
    expect(special("bos=1", new Map())).toBe("--special-token bos=1: the file has no vocabulary");
  });
});

test("keys stay in their places, new ones come last, and what is not there cannot go", () => {
  const edit = (remove: string[], set: [string, MetaField][]) =>
    said(() => editMetadata(file, { remove, set }));
  const edited = edit(["a.count"], [["z", meta.u32(1)], ["general.name", meta.string("y")]]); // biome-ignore format: a line
  expect(edited).toEqual(
    new Map([["general.name", meta.string("y")], ...[...file].slice(2), ["z", meta.u32(1)]]),
  );
  expect([...(edited as typeof file).keys()].at(-1)).toBe("z");
  expect(file.has("a.count")).toBe(true);
  expect(edit(["a.cound"], [])).toBe("--remove a.cound: there is no such key");
  expect(() => editMetadata(file, { remove: ["quite another"] })).toThrow(
    expect.objectContaining({ hint: undefined }),
  );
  expect(editMetadata(file, {})).toEqual(file);
});

// biome-ignore format: columns
test.each<[text: string, field: MetaField | string]>([
  ["k=int:0",              { type: "u32", value: 0 }],
  ["k=int:4294967295",     { type: "u32", value: 4294967295 }],
  ["k=int:4294967296",     "4294967296 is no value of type int"],
  ["k=int:-1",             "-1 is no value of type int"],
  ["k=float:0.1",          { type: "f32", value: 0.10000000149011612 }],
  ["k=float:",             " is no value of type float"],
  ["k=float:1e999",        "1e999 is no value of type float"],
  ["k=bool:true",          { type: "bool", value: true }],
  ["k=bool:false",         { type: "bool", value: false }],
  ["k=bool:1",             "1 is no value of type bool"],
  ["k=str:a:b=c",          { type: "string", value: "a:b=c" }],
  ["k=constructor:1",      "unknown type constructor"],
  ["k=7",                  "not of the form key=type:value"],
  ["=int:1",               "the key is empty"],
  ["general.alignment=int:64", "the alignment cannot be chosen"],
])("--override-kv %s", (text, field) => {
  const read = said(() => parseKeyValue(text));
  if (typeof field === "string") expect(read).toBe(`--override-kv ${text}: ${field}`);
  else expect(read).toEqual(["k", field]);
});

// biome-ignore format: columns
test.each<[glob: string, fits: string[], not: string[]]>([
  ["blk.1.*",       ["blk.1.", "blk.1.attn_q.weight"],  ["blk.10.x", "ablk.1.x", "blk_1.x"]],
  ["blk.?.a",       ["blk.1.a", "blk.x.a"],             ["blk.10.a", "blk..a"]],
  ["blk.[0-3].a",   ["blk.0.a", "blk.3.a"],             ["blk.4.a", "blk.[0-3].a"]],
  ["a+(b)|{c}$^",   ["a+(b)|{c}$^"],                    ["aab", "a"]],
  ["[]a",           ["[]a"],                            ["a"]],
  ["é*",            ["é", "é\n"],                       ["e"]],
])("the glob %s", (glob, fits, not) => {
  expect([...fits, ...not].filter((name) => globToRegExp(glob).test(name))).toEqual(fits);
});

// biome-ignore format: columns
test.each([
  ["ffn_down",             "a role or a glob, an equals sign and a type are needed"],
  ["=Q8_0",                "a role or a glob, an equals sign and a type are needed"],
  ["a=b=Q8_0",             "a role or a glob, an equals sign and a type are needed"],
  ["a=",                   "a role or a glob, an equals sign and a type are needed"],
  ["[3-0]=Q8_0",           "not a glob"],
  ["/[[:digit:]]/=Q8_0",   "classes such as [[:digit:]] are not understood"],
])("--tensor %s is refused", (text, why) => {
  expect(said(() => parseOverride(text))).toContain(why);
});

test("types that can be written are named for one that cannot", () => {
  expect(said(() => parseOverride("a=Q9_0"))).toBe("tensor type Q9_0 is unknown");
  expect(() => parseOverride("a=Q8_O")).toThrow(
    expect.objectContaining({ hint: expect.stringMatching(/^did you mean Q8_0\? known: .*\bQ4_K\b/) }),
  );
  expect(() => parseOverride("a=Q8_1")).toThrow("tensor type Q8_1");
});

// biome-ignore format: columns
test.each<[text: string, bytes: number | undefined]>([
  ["1B", 1], ["8 GiB", 8 * 1024 ** 3], ["1.5k", 1500], ["1.5KiB", 1536], ["2t", 2e12], ["1TiB", 1024 ** 4], ["0.5mb", 500000],
  ["1.000999K", 1000], ["0B", undefined], ["0.5B", undefined], ["8", undefined], ["8GBs", undefined], ["-1K", undefined],
  ["9007T", 9007e12], ["9008T", undefined], ["1234567890123456B", undefined], ["1.1234567K", undefined], ["1iB", undefined], ["x1K", undefined],
])("a size of %s", (text, bytes) => {
  const read = said(() => parseBytes("--size", text));
  if (bytes === undefined) expect(read).toBe(`--size ${text}: not a size with its unit`);
  else expect(read).toBe(bytes);
});

test("a slip of the fingers is two letters, or a third of a word", () => {
  const known = ["quantize", "convert", "Q4_K"];
  expect(
    ["quantise", "QUANTIZE", "qantiz", "Q4K", "Q5K", "convt"].map((each) => nearest(each, known)),
  ).toEqual([...["quantize", "quantize", "quantize", "Q4_K", "Q4_K", "convert"]]);
  expect(["abc", "quality", "zzzzzzzz"].map((each) => nearest(each, known))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(nearest("abcdefghi", ["abcdef"])).toBe("abcdef"); // 9 letters, 3 missing
  expect(nearest("abcdefgh", ["abcde"])).toBeUndefined(); // 8 letters, 3 missing
  expect(nearest("ab", ["abcd", "abc"])).toBe("abc"); // the nearest, not the first
});
