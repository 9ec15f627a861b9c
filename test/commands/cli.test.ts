import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const folder = scratchFolder();
const IMATRIX = new URL("../golden/quantize/tiny-llama.imatrix.gguf", import.meta.url).pathname;

/** Runs the built program as a user would. */
function llq(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    encoding: "utf8",
    cwd: folder,
  });
  return { status, stdout, stderr };
}

describe("help", () => {
  test("lists the commands and the exit statuses", () => {
    const { status, stdout } = llq("--help");
    expect(status).toBe(0);
    for (const word of [
      "convert",
      "quantize",
      "imatrix",
      "eval-ppl",
      "eval-choice",
      "inspect",
      "verify",
      "Exit status",
    ])
      expect(stdout).toContain(word);
  });

  test.each(["convert", "quantize", "imatrix", "eval-ppl", "eval-choice", "inspect", "verify"])(
    "%s has examples",
    (command) => {
      const { status, stdout } = llq(command, "--help");
      expect(status).toBe(0);
      expect(stdout).toContain("Examples:");
    },
  );

  test("the version is package.json's", () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect(llq("--version").stdout.trim()).toBe(version);
  });
});

const quantizeWith = (...options: string[]) => [
  "quantize",
  TINY_LLAMA,
  "-o",
  "x.gguf",
  "--bits",
  "4",
  ...options,
];

describe("usage errors end with status 2", () => {
  test.each([
    [["quantise"], /unknown command 'quantise'.*\n.*Did you mean quantize/s],
    [["quantize", TINY_LLAMA], /neither --bits nor --type/],
    [["quantize", TINY_LLAMA, "-o", "x.gguf"], /neither --bits nor --type/],
    [["eval-choice", TINY_LLAMA, "x.csv", "--shots", "2"], /--shots are taken from --dev/],
    [["imatrix", "-o", "x.gguf"], /neither a model and a text nor --in is given/],
    [["imatrix", TINY_LLAMA, "-o", "x.gguf"], /which text is to be run through/],
    [["quantize", TINY_LLAMA, "-o", "x.gguf", "--bits", "7"], /Allowed choices are/],
    [["quantize", TINY_LLAMA, "-o", "x.gguf", "--bits", "q4km"], /Did you mean --type Q4_K_M\?/],
    [["generate", TINY_LLAMA, "x", "--bits", "q4"], /Did you mean --bits 4\?/],
    [["quantize", TINY_LLAMA, "-o", "x.gguf", "--type", "4bit"], /did you mean Q4_K_M \(--bits 4\)\?/],
    [["quantize", TINY_LLAMA, "-o", "x.gguf", "--type", "copy", "--pure"], /so --pure changes nothing/],
    [quantizeWith("--include-weights", "attn"), /but there is none\n hint: --imatrix/],
    [quantizeWith("--tensor-type", "attn_w=q8_0"), /attn_w is found in no name/],
    [quantizeWith("--tensor", "/blk(/=q8_0"), /not a regular expression: Unterminated group/],
    [
      ["quantize", TINY_LLAMA, "-o", "x.gguf", "--type", "Q8_O"],
      /unknown type Q8_O\n hint: did you mean Q8_0\?/,
    ],
    [
      ["quantize", TINY_LLAMA, "-o", "x.gguf", "--type", "IQ2_XXS"],
      /IQ2_XXS needs an importance matrix\n hint: .*--imatrix/,
    ],
    [["quantize", TINY_LLAMA, "-o", "x.gguf", "--bits", "8", "-j", "0"], /A whole number of at least 1/],
    [
      quantizeWith("--tensor", "ffn_dwn=Q6_K"),
      /matches no tensor\n hint: did you mean ffn_down\? roles: token_embd, /,
    ],
    [quantizeWith("--tensor", "ffn_down=Q6"), /tensor type Q6 is unknown\n hint: .*known: F32, /],
    [
      quantizeWith("--tensor", "ffn_down=q8_1"),
      /tensor type q8_1 can be read but not written\n hint: known: F32, /,
    ],
    [quantizeWith("--output-type", "Q8_1"), /tensor type Q8_1 can be read but not written/],
    [quantizeWith("--embedding-type", "F64"), /tensor type F64 can be read but not written/],
    [
      quantizeWith("--tensor", "ffn_down=IQ2_S"),
      /blk\.\d\.ffn_down\.weight in IQ2_S needs an importance matrix/,
    ],
    [
      quantizeWith("--tensor", "ffn_down"),
      /a role or a glob, an equals sign and a type\n? ?.*\n hint: --tensor ffn_down=Q6_K/,
    ],
    [quantizeWith("--output-type", "Q6_X"), /tensor type Q6_X is unknown\n hint: did you mean Q6_K\?/],
    [quantizeWith("--embedding-type", "Q6_X"), /did you mean Q6_K\?/],
    [quantizeWith("--leave-output", "--output-type", "F16"), /cannot be used with/],
    [quantizeWith("--prune-layers", "4"), /layer 4 cannot be pruned: there are layers 0 to 3/],
    [quantizeWith("--prune-layers", "a"), /a is no layer.*\n hint: --prune-layers 3,5,20-23/],
    [
      quantizeWith("--override-kv", "a=b"),
      /not of the form key=type:value\n hint: .*int, float, bool or str/,
    ],
    [
      ["quantize", TINY_LLAMA, "-o", "x.gguf", "--type", "Q2_K_S"],
      /needs an importance matrix\n hint: .*--imatrix/,
    ],
  ])("%j", (args, message) => {
    const { status, stdout, stderr } = llq(...args);
    expect(stderr).toMatch(message);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });
});

/** A way to spoil a model folder, the status it ends with, and what must be said. */
const SPOILT: [name: string, spoil: (model: string) => void, status: number, message: RegExp][] = [
  ["no config.json", (m) => rmSync(join(m, "config.json")), 3, /config\.json: no such file/],
  ["config.json that is no JSON", (m) => writeFileSync(join(m, "config.json"), "{"), 3, /config\.json: not valid JSON/],
  ["an unknown architecture", (m) => editConfig(m, { architectures: ["LlamaForCasualLM"] }), 4, /LlamaForCasualLM is not supported\n hint: did you mean LlamaForCausalLM/],
  ["an activation that is not Llama's", (m) => editConfig(m, { hidden_act: "gelu" }), 4, /hidden_act gelu/],
  ["a RoPE scaling nobody knows", (m) => editConfig(m, { rope_scaling: { rope_type: "spiral", factor: 2 } }), 4, /rope_scaling of type spiral/],
  ["no hidden size", (m) => editConfig(m, { hidden_size: undefined }), 3, /config\.json: hidden_size/],
  ["a head count of 0", (m) => editConfig(m, { num_attention_heads: 0 }), 3, /num_attention_heads/],
  ["heads that do not divide", (m) => editConfig(m, { num_key_value_heads: 3 }), 3, /8 heads cannot share 3/],
  ["a shape that does not match", (m) => editConfig(m, { intermediate_size: 512 }), 3, /mlp\.gate_proj\.weight is 768 x 256; the configuration asks for 512 x 256/],
  ["a layer too many", (m) => editConfig(m, { num_hidden_layers: 5 }), 3, /9 tensors are missing: model\.layers\.4\.input_layernorm\.weight/],
  ["a layer too few", (m) => editConfig(m, { num_hidden_layers: 3 }), 3, /9 tensors are no part of llama: model\.layers\.3\./],
  ["a truncated shard", (m) => truncateSync(join(m, "model.safetensors"), 1_000_000), 3, /model\.safetensors/],
  ["no weights", (m) => rmSync(join(m, "model.safetensors")), 3, /model\.safetensors/],
  ["overlapping offsets", overlapOffsets, 3, /model\.safetensors/],
  ["no tokenizer", (m) => { rmSync(join(m, "tokenizer.model")); rmSync(join(m, "tokenizer.json")); }, 3, /tokenizer/],
]; // biome-ignore format: rows

function editConfig(model: string, changes: Record<string, unknown>): void {
  const file = join(model, "config.json");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...changes }));
}

/** Makes the second tensor start where the first does. */
function overlapOffsets(model: string): void {
  const file = join(model, "model.safetensors");
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
  const [first, second] = Object.keys(header).filter((name) => name !== "__metadata__");
  const size = header[second!].data_offsets[1] - header[second!].data_offsets[0];
  const start = header[first!].data_offsets[0];
  header[second!].data_offsets = [start, start + size];
  bytes.write(JSON.stringify(header).padEnd(length), 8);
  writeFileSync(file, bytes);
}

describe("a spoilt model is refused by name and nothing is written", () => {
  test.each(SPOILT)("%s", (name, spoil, status, message) => {
    const model = copyTinyLlama(folder, name);
    spoil(model);
    const output = join(folder, "spoilt.gguf");
    for (const args of [
      ["convert", model, "-o", output],
      ["quantize", model, "-o", output, "--bits", "8"],
    ]) {
      const result = llq(...args);
      expect(result.stderr).toMatch(message);
      expect(result.stderr).not.toMatch(/bug in llq/);
      expect({ status: result.status, stdout: result.stdout }).toEqual({ status, stdout: "" });
      expect(existsSync(output) || existsSync(`${output}.partial`)).toBe(false);
    }
  });

  test("a path that does not exist", () => {
    expect(llq("inspect", "nowhere")).toMatchObject({
      status: 3,
      stderr:
        "error: nowhere: no such file or folder\n hint: check the name: paths start in the folder where llq is run\n",
    });
  });

  test("an empty folder", () => {
    mkdirSync(join(folder, "empty"));
    expect(llq("inspect", "empty")).toMatchObject({ status: 3 });
  });
});

describe("--json prints one document", () => {
  test("inspect", () => {
    const { status, stdout } = llq("inspect", TINY_LLAMA, "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 1,
      format: "safetensors",
      architecture: "llama",
      hparams: { headCount: 8, headCountKv: 2, keyLength: 32, contextLength: 256 },
      tokenizer: { kind: "spm", tokens: 2048 },
      totals: { tensors: 39, elements: 4065536, byteLength: 2 * 4065536, bitsPerWeight: 16 }, // all of it BF16
    });
    expect(llq("inspect", TINY_LLAMA).stdout).toContain(
      "\n4.07 M weights, 7.75 MiB, 16.00 bits per weight\n",
    );
  });

  test("imatrix, whose file quantize takes", () => {
    const text = new URL("../../samples/text.txt", import.meta.url).pathname;
    const args = ["-o", "new.imatrix.gguf", "--context", "64", "--chunks", "3", "--in", IMATRIX, "--json"];
    const { status, stdout } = llq("imatrix", TINY_LLAMA, text, ...args);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 1,
      output: "new.imatrix.gguf",
      entries: 28,
      datasets: ["text.txt", text],
      chunks: 20 * 4 + 3,
      chunkSize: 64,
      resumed: 0,
    });
    expect(llq(...quantizeWith("--imatrix", "new.imatrix.gguf")).status).toBe(0);
  });

  test("quantize and its dry run agree on the size", () => {
    const args = ["quantize", TINY_LLAMA, "-o", "json.gguf", "--type", "Q8_0", "--json"];
    const planned = JSON.parse(llq(...args, "--dry-run").stdout);
    expect(existsSync(join(folder, "json.gguf"))).toBe(false);
    const written = JSON.parse(llq(...args).stdout);
    expect(readFileSync(join(folder, "json.gguf")).length).toBe(planned.byteLength);
    expect(written).toMatchObject({ recipe: "Q8_0", byteLength: planned.byteLength, elements: 4065536 });
  });
});

describe("quantize", () => {
  test("lists the largest errors, the largest first", () => {
    const args = ["quantize", TINY_LLAMA, "-o", "errors.gguf", "--type", "Q4_K_M"];
    const { tensors } = JSON.parse(llq(...args, "--json").stdout);
    const largest = tensors
      .map(({ relativeError, name }: { relativeError: number; name: string }) => [relativeError, name])
      .sort(([a]: [number], [b]: [number]) => b - a)
      .slice(0, 5)
      .map(([, name]: [number, string]) => name);
    const { stdout } = llq(...args, "--force");
    const table = stdout.slice(stdout.indexOf("largest errors")).split("\n").slice(1);
    const names = table
      .map((line) => line.split(" ")[0])
      .filter((name) => name !== "" && !/^-+$/.test(name!));
    expect(names.slice(0, 5)).toEqual(largest);
  });

  test("its help has every option of its own in an example", () => {
    const { stdout } = llq("quantize", "--help");
    const [options, examples] = stdout.split("Examples:");
    const ofAll = ["--json", "--help", "--version", "--quiet", "--verbose", "--lang"];
    const general = ["--output", "--threads", "--force", "--resume", ...ofAll];
    const names = [...options!.matchAll(/^ +(?:-\w, )?(--[\w-]+)/gm)].map((match) => match[1]!);
    expect(names.length).toBeGreaterThan(15);
    expect(names.filter((name) => !general.includes(name) && !RegExp(`${name}\\b`).test(examples!))).toEqual(
      [],
    );
  });

  test("obeys its options together", () => {
    const { status, stdout } = llq(
      ...quantizeWith("--tensor", "ffn_down=Q8_0", "--tensor", "blk.1.attn_*=F16", "--output-type", "Q5_K"),
      ...["--embedding-type", "Q4_1", "--prune-layers", "0,3", "--override-kv", "general.name=str:Two"],
      ...["--imatrix", IMATRIX, "--dry-run", "--json"],
    );
    expect(status).toBe(0);
    const { tensors, unguided, peakMemory } = JSON.parse(stdout);
    const types = Object.fromEntries(tensors.map(({ name, to }: { name: string; to: string }) => [name, to]));
    expect(types).toMatchObject({
      "token_embd.weight": "Q4_1",
      "blk.0.attn_q.weight": "Q4_K",
      "blk.0.ffn_down.weight": "Q8_0",
      "blk.1.attn_q.weight": "F16",
      "blk.1.ffn_down.weight": "Q8_0",
      "output.weight": "Q5_K",
    });
    expect(tensors).toHaveLength(21);
    expect(unguided).toEqual(["token_embd.weight", "output.weight"]);
    expect(peakMemory).toBeGreaterThan(2 ** 24);
  });

  test("says what it takes, and which tensors are not as asked", () => {
    const { stdout } = llq(...quantizeWith("--imatrix", IMATRIX, "--dry-run"));
    expect(stdout).toMatch(/blk\.2\.attn_v\.weight .* Q4_K_M: attn_v, useMoreBits/);
    expect(stdout).toMatch(/the importance matrix says nothing of token_embd\.weight, output\.weight\n/);
    expect(stdout).toMatch(/needs 2\.47 MiB on the disk and about \d+\.\d MiB of memory\n/);
  });

  test("refuses a file that is no importance matrix", () => {
    const config = join(TINY_LLAMA, "config.json");
    expect(llq(...quantizeWith("--imatrix", config))).toMatchObject({ status: 3 });
    expect(llq(...quantizeWith("--imatrix", "nowhere"))).toMatchObject({
      status: 3,
      stderr:
        "error: nowhere: no such file\n hint: check the name: paths start in the folder where llq is run\n",
    });
  });
});

test("a quantized model is not quantized again unasked", () => {
  llq("quantize", TINY_LLAMA, "-o", "q8.gguf", "--type", "Q8_0");
  const args = ["quantize", "q8.gguf", "-o", "q4.gguf", "--type", "Q4_0"];
  expect(llq(...args)).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/is quantized already \(Q8_0\)/),
  });
  expect(llq(...args, "--allow-requantize").status).toBe(0);
});
