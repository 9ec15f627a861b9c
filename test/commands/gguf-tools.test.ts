import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openContainer } from "../../formats/open.js";
import { asWritten, numberText } from "../../src/commands/shared/metadata.js";
import { planCopy } from "../../src/quant/copy.js";
import { hashTensors } from "../../src/run/measure/hash.js";
import { copyTensors } from "../../src/run/write/copy.js";
import { scratchFolder } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const GOLDEN = new URL("../golden/gguf-tools/", import.meta.url).pathname;
const MIXED = join(GOLDEN, "mixed.gguf");
const BIG_ENDIAN = new URL("../golden/containers/big-endian.gguf", import.meta.url).pathname;
/** A GGUF that holds no model. */
const IMATRIX = new URL("../golden/quantize/tiny-llama.imatrix.gguf", import.meta.url).pathname;
const tools = JSON.parse(readFileSync(join(GOLDEN, "tools.json"), "utf8"));
const folder = scratchFolder();

function llq(...args: string[]) {
  return spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", cwd: folder });
}

function run(...args: string[]): string {
  const { status, stdout, stderr } = llq(...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.not.stringContaining("error") });
  return stdout;
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const fileSha256 = (path: string) => sha256(readFileSync(path));

async function dataSha256(path: string): Promise<string> {
  const [line] = await hashTensors(openContainer(path), { digests: ["sha256"], tensors: false });
  return line!.value;
}

describe("split and merge", () => {
  test.each(Object.entries(tools.split))(
    "%s gives llama-gguf-split's files to the byte",
    async (flags, golden) => {
      const { parts, merged } = golden as { parts: Record<string, string>; merged: string };
      const name = flags.replace(/[ -]/g, "");
      mkdirSync(join(folder, name));
      const own = flags.replaceAll("split-max", "max").replace("no-tensor-first-split", "no-tensors-first");
      run("split", MIXED, "-o", `${name}/part.gguf`, ...own.split(" "));
      const written = readdirSync(join(folder, name)).sort();
      expect(Object.fromEntries(written.map((file) => [file, fileSha256(join(folder, name, file))]))).toEqual(
        parts,
      );
      if (written.length === 1) return;
      const paths = written.map((file) => join(name, file));
      run("merge", ...paths, "-o", `${name}.gguf`);
      expect(await dataSha256(join(folder, `${name}.gguf`))).toBe(merged);
      expect(fileSha256(join(folder, `${name}.gguf`))).toBe(fileSha256(MIXED));
    },
  );

  test("a dry run writes nothing", () => {
    const { files } = JSON.parse(
      run("split", MIXED, "-o", "dry.gguf", "--max-size", "4K", "--dry-run", "--json"),
    );
    expect(files.length).toBeGreaterThan(2);
    expect(files.reduce((sum: number, { tensors }: { tensors: number }) => sum + tensors, 0)).toBe(14);
    expect(existsSync(join(folder, files[0].output))).toBe(false);
  });

  test.each([
    [["merge", MIXED, "-o", "x.gguf"], /is a whole model, not the first part of one\n hint: llq copy/],
    [
      ["split", MIXED, "-o", "x.gguf", "--max-size", "2"],
      /--max-size 2: not a size with its unit\n hint: .*, or 2B for bytes/,
    ],
    [["split", MIXED, "-o", "x.gguf", "--max-tensors", "0"], /A whole number of at least 1/],
    [["split", MIXED, "-o", "x.gguf", "--max-tensors", "4", "--max-size", "1M"], /cannot be used with/],
    [["copy", MIXED, "-o", MIXED], /is an input too/],
    [["hash", MIXED, "-c", "x", "-t", "sha1"], /cannot be used with option '-t, --type/],
    [["hash", MIXED, "-c", "x", "--no-tensors"], /cannot be used with option '--no-tensors/],
  ])("%s is refused with status 2", (args, message) => {
    const { status, stderr } = llq(...args);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(message) });
  });

  test("a part of another model is no part of this one", () => {
    run("split", MIXED, "-o", "a.gguf", "--max-tensors", "7");
    const { status, stderr } = llq("merge", "a-00001-of-00002.gguf", MIXED, "-o", "x.gguf");
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringContaining("is no part of the model"),
    });
  });
});

test("parts may be named in several ways", () => {
  run("split", MIXED, "-o", "b.gguf", "--max-tensors", "7");
  run("merge", "./b-00001-of-00002.gguf", "b-00002-of-00002.gguf", "-o", "b.gguf");
  expect(fileSha256(join(folder, "b.gguf"))).toBe(fileSha256(MIXED));
});

describe("copy", () => {
  test("keeps every byte of a file without architecture, NaNs too", () => {
    run("copy", MIXED, "-o", "copy.gguf");
    expect(fileSha256(join(folder, "copy.gguf"))).toBe(fileSha256(MIXED));
    run("copy", IMATRIX, "-o", "imatrix.gguf");
    expect(fileSha256(join(folder, "imatrix.gguf"))).toBe(fileSha256(IMATRIX));
  });

  test("has arrays of more items than a vocabulary, which are not decoded", () => {
    const items = 2 ** 21 + 1;
    const head = Buffer.from(
      "GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0x\x09\0\0\0",
      "latin1",
    );
    const array = Buffer.alloc(4 + 8 + items, 1);
    array.writeUInt32LE(0); // u8
    array.writeBigUInt64LE(BigInt(items), 4);
    writeFileSync(join(folder, "long.gguf"), Buffer.concat([head, array]));
    run("copy", "long.gguf", "-o", "long-copy.gguf");
    expect(fileSha256(join(folder, "long-copy.gguf"))).toBe(fileSha256(join(folder, "long.gguf")));
  });

  test("of a big-endian file has the blocks that gguf_convert_endian.py read", () => {
    run("copy", BIG_ENDIAN, "-o", "little.gguf");
    const golden = JSON.parse(readFileSync(BIG_ENDIAN.replace(".gguf", ".json"), "utf8"));
    const bytes = readFileSync(join(folder, "little.gguf"));
    const { tensors } = openContainer(join(folder, "little.gguf"));
    for (const [name, { offset, byteLength, bigEndian }] of tensors) {
      expect(bigEndian).toBeUndefined();
      expect(bytes.subarray(offset, offset + byteLength).toString("hex")).toBe(golden[name]);
    }
  });

  test("stopped, it leaves nothing", async () => {
    const container = openContainer(MIXED);
    const controller = new AbortController();
    const output = join(folder, "stopped.gguf");
    const onProgress = () => controller.abort(new Error("stop"));
    const work = copyTensors(container, [planCopy(container, output)], {
      signal: controller.signal,
      onProgress,
    });
    await expect(work).rejects.toThrow("stop");
    expect(readdirSync(folder).filter((name) => name.startsWith("stopped"))).toEqual([]);
  });

  test("of a file that is cut off or no GGUF is refused", () => {
    writeFileSync(join(folder, "cut.gguf"), readFileSync(MIXED));
    truncateSync(join(folder, "cut.gguf"), 20_000);
    expect(llq("copy", "cut.gguf", "-o", "x.gguf")).toMatchObject({
      status: 3,
      stderr: expect.stringContaining("truncated"),
    });
    const model = new URL("../../samples/tiny-llama", import.meta.url).pathname;
    expect(llq("copy", model, "-o", "x.gguf")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("is safetensors, and llq copy is for GGUF files\n hint: llq convert"),
    });
  });
});

describe("meta", () => {
  test.each(Object.entries(tools.set))("--set %s writes gguf_set_metadata.py's file", (key, golden) => {
    const { value, sha256: expected } = golden as { value: string; sha256: string };
    run("meta", MIXED, "-o", "set.gguf", "--force", "--set", `${key}=${value}`);
    expect(fileSha256(join(folder, "set.gguf"))).toBe(expected);
  });

  test("names, templates, tokens and removals write gguf_new_metadata.py's files", () => {
    writeFileSync(join(folder, "chat.jinja"), "{{ 1 }}\n{{ 2 }}");
    const own: Record<string, string[]> = {
      name: ["--set", "general.name=Other"],
      remove: ["--remove", "made-up.flag"],
      tokens: ["--special-token", "eos=<|im_end|>", "--special-token", "pad=0"],
      template: ["--chat-template", "chat.jinja"],
    };
    for (const [name, { sha256: expected }] of Object.entries<{ sha256: string }>(tools.new)) {
      run("meta", MIXED, "-o", `${name}.gguf`, ...own[name]!);
      expect(`${name} ${fileSha256(join(folder, `${name}.gguf`))}`).toBe(`${name} ${expected}`);
    }
    expect(run("meta", "template.gguf", "--key", "tokenizer.chat_template")).toBe("{{ 1 }}\n{{ 2 }}\n");
  });

  test("arrays, new keys and types", async () => {
    const sets = [
      "made-up.numbers=[4, 5]",
      'general.tags=string[]:["chat"]',
      "x.u=u64:18446744073709551615",
      "x.f=float:0.5",
      "x.i=int:7",
      "made-up.f64=1e-7",
    ];
    run("meta", MIXED, "-o", "sets.gguf", ...sets.flatMap((set) => ["--set", set]));
    const { metadata } = JSON.parse(run("meta", "sets.gguf", "--json"));
    expect(metadata["made-up.numbers"]).toEqual({ type: "i32[]", value: [4, 5] });
    expect(metadata["general.tags"]).toEqual({ type: "string[]", value: ["chat"] });
    expect(metadata["x.u"]).toEqual({ type: "u64", value: "18446744073709551615" });
    expect(metadata["x.i"]).toEqual({ type: "u32", value: 7 });
    expect(metadata["x.f"]).toEqual({ type: "f32", value: 0.5 });
    expect(metadata["made-up.f64"]).toEqual({ type: "f64", value: 1e-7 });
    expect(await dataSha256(join(folder, "sets.gguf"))).toBe(await dataSha256(MIXED));
  });

  test("lists numbers as people write them", () => {
    const text = run("meta", MIXED);
    expect(text).toMatch(/made-up\.epsilon +f32 +1e-05\n/);
    expect(text).toMatch(/made-up\.u64 +u64 +"?18446744073709551615/);
    expect(JSON.parse(run("meta", MIXED, "--key", "made-up.floats", "--json")).value).toEqual([0.5, 1e-6]);
    expect(run("meta", MIXED, "--key", "made-up.epsilon")).toBe("1e-05\n");
  });

  test("a change of type is warned of", () => {
    const { status, stderr } = llq("meta", MIXED, "-o", "typed.gguf", "--set", "made-up.epsilon=f64:1e-5");
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: expect.stringContaining("was f32 and is f64 now"),
    });
  });

  test.each([
    [["--set", "made-up.flag=maybe"], /maybe is no value of type bool/],
    [["--set", "made-up.u8=256"], /256 does not fit into u8/],
    [["--set", "made-up.u8=-1"], /--set made-up.u8=-1: -1 is no value of type u8/],
    [["--set", "x.n=int:1.5"], /--set x.n=int:1.5: 1.5 is no value of type u32/],
    [["--set", "made-up.epsilon=1e39"], /1e39 does not fit into f32/],
    [["--set", "made-up.numbers=4"], /an array is a JSON list/],
    [
      ["--set", "made-up.number=4"],
      /there is no key made-up.number yet.*\n hint: did you mean made-up.numbers\?/,
    ],
    [["--set", "general.alignment=64"], /the alignment cannot be chosen/],
    [["--set", "split.count=3"], /cannot be chosen\n hint: llq split/],
    [["--remove", "made-up.flags"], /no such key\n hint: did you mean made-up.flag\?/],
    [["--special-token", "eos=<eos>"], /<eos> is not in the vocabulary/],
    [["--special-token", "eos=6"], /the vocabulary has 6 tokens, the last is 5/],
    [["--special-token", "end=1"], /unknown special token end\n hint: .*names: bos, eos.*, fim_pre, /],
    [["--special-token", "gmask=1"], /unknown special token gmask/],
    [["--key", "general.name"], /--key prints a value, and -o writes a file/],
  ])("%s is refused with status 2", (options, message) => {
    const { status, stderr } = llq("meta", MIXED, "-o", "refused.gguf", ...options);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(message) });
    expect(existsSync(join(folder, "refused.gguf"))).toBe(false);
  });

  test("changes without an output are refused, as is a key that is not there", () => {
    expect(llq("meta", MIXED, "--remove", "made-up.flag")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("an input is never changed; -o names the file"),
    });
    expect(llq("meta", MIXED, "--key", "general.nam")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("did you mean general.name?"),
    });
  });
});

describe("hash", () => {
  const golden: string[] = tools.hash;

  test("prints gguf_hash.py's lines", () => {
    writeFileSync(join(folder, "mixed.gguf"), readFileSync(MIXED));
    expect(run("hash", "mixed.gguf").trimEnd().split("\n")).toEqual(golden);
    expect(run("hash", "mixed.gguf", "--no-tensors", "--type", "uuid").trimEnd()).toBe(golden.at(-1));
  });

  test("checks a manifest of gguf_hash.py", () => {
    writeFileSync(
      join(folder, "good.manifest"),
      `${golden.join("\n")}\nxxh64     0123456789abcdef  mixed.gguf\n`,
    );
    const { status, stdout, stderr } = llq("hash", MIXED, "--check", "good.manifest");
    expect({ status, stdout }).toEqual({ status: 0, stdout: "31 of 31 hashes are those of good.manifest\n" });
    expect(stderr).toContain("lines of xxh64 are passed over");
    run("split", MIXED, "-o", "mixed-parts.gguf", "--max-tensors", "5");
    writeFileSync(
      join(folder, "one.manifest"),
      golden.slice(0, 3).join("\n").replaceAll("mixed.gguf", "m.gguf"),
    );
    expect(llq("hash", "mixed-parts-00001-of-00003.gguf", "-c", "good.manifest").status).toBe(0);
    const partial = llq("hash", MIXED, "-c", "one.manifest");
    expect(partial).toMatchObject({
      status: 1,
      stdout: expect.stringContaining("not in the manifest: sha1 of"),
    });
  });

  test("tensors of a file with any name are checked, too", () => {
    writeFileSync(join(folder, "blob"), readFileSync(MIXED));
    writeFileSync(join(folder, "blob.manifest"), run("hash", "blob"));
    expect(run("hash", "blob", "-c", "blob.manifest")).toBe(
      `${golden.length} of ${golden.length} hashes are those of blob.manifest\n`,
    );
  });

  test("a byte that differs ends with status 1", () => {
    const bytes = readFileSync(MIXED);
    bytes[bytes.length - 20]! ^= 1;
    writeFileSync(join(folder, "mixed.gguf"), bytes);
    const { status, stdout } = llq("hash", "mixed.gguf", "--check", "good.manifest", "--json");
    expect(status).toBe(1);
    const wrong = JSON.parse(stdout).results.filter(({ passed }: { passed: boolean }) => !passed);
    expect(wrong.map(({ tensor }: { tensor?: string }) => tensor)).toEqual([
      "one.bias",
      "one.bias",
      ...[undefined, undefined, undefined],
    ]);
  });
});

test("numbers are those a person would have written", () => {
  expect([1e-5, 0.1, 500000, 1 / 3].map((value) => asWritten(Math.fround(value)))).toEqual([
    ...[1e-5, 0.1, 500000, 0.33333334],
  ]);
  expect(asWritten(0.1 + 0.2)).toBe(0.1 + 0.2);
  expect([1e-5, 0.25, 1e-12, 1e30, 0, -3e-6].map((value) => numberText(Math.fround(value)))).toEqual([
    ...["1e-05", "0.25", "1e-12", "1e+30", "0", "-3e-06"],
  ]);
});

describe("inspect", () => {
  test("of a GGUF that holds no model it knows says how to look at it", () => {
    const { status, stderr } = llq("inspect", MIXED);
    expect({ status, stderr }).toEqual({
      status: 4,
      stderr: expect.stringMatching(/hint: .*llq meta .*mixed.gguf/),
    });
    expect(llq("inspect", IMATRIX).stderr).toMatch(/hint: .*llq meta/);
  });

  const model = new URL("../../samples/tiny-llama", import.meta.url).pathname;

  test("shows one key, some tensors, none, or Markdown", () => {
    expect(run("inspect", model, "--key", "llama.attention.layer_norm_rms_epsilon")).toBe("1e-05\n");
    expect(
      JSON.parse(run("inspect", model, "--json")).metadata["llama.attention.layer_norm_rms_epsilon"],
    ).toBe(1e-5);
    const some = JSON.parse(run("inspect", model, "--tensors", "blk.0.attn_[qk].*", "--json"));
    expect(some.tensors.map(({ name }: { name: string }) => name)).toEqual([
      "blk.0.attn_q.weight",
      "blk.0.attn_k.weight",
    ]);
    expect(JSON.parse(run("inspect", model, "--tensors", "ffn_down", "--json")).tensors.length).toBe(
      some.hparams.blockCount,
    );
    const text = run("inspect", model, "--no-tensors", "--markdown");
    expect(text).toContain("| key | value |\n| --- | --- |\n| general.architecture |".replaceAll("_", "\\_"));
    expect(text).not.toContain("attn\\_q.weight");
    expect(llq("inspect", model, "--tensors", "nothing*")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("fits no tensor"),
    });
  });
});
