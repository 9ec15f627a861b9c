import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BufferSource, FileSource } from "../../formats/bytes.js";
import { parseCsv } from "../../formats/csv.js";
import { readGguf } from "../../formats/gguf/gguf.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { parseJson } from "../../formats/json.js";
import { openShards } from "../../formats/shards.js";
import { openAdapter } from "../../src/arch/adapter/adapter.js";
import { readHParams } from "../../src/arch/hparams.js";
import { architectureOfConfig } from "../../src/arch/index.js";
import { readQuestions } from "../../src/eval/choice/questions.js";
import { readBaseline } from "../../src/eval/divergence/baseline.js";
import {
  encodeFullRecord,
  encodeTopRecord,
  readFullRecord,
  readTopRecord,
} from "../../src/eval/divergence/baseline-record.js";
import { readCheckpoint, writeCheckpoint } from "../../src/eval/imatrix/checkpoint.js";
import { scoredTokens } from "../../src/eval/perplexity/protocol.js";
import { describedTensors, openModel } from "../../src/model.js";
import { planConvert } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { encodeFrame } from "../../src/run/parts/frames.js";
import { Journal, readJournal } from "../../src/run/write/journal.js";
import { tryLock } from "../../src/run/write/lock.js";
import { vocabFromTiktoken } from "../../src/tokenizer/bpe/tiktoken.js";
import { vocabFromGpt2Files } from "../../src/tokenizer/hf/gpt2-files.js";
import { NO_CONFIG, readTokenizerConfig } from "../../src/tokenizer/hf/hf-config.js";
import { vocabFromMetadata } from "../../src/tokenizer/vocab.js";
import { EDGES, type Sample, type Target } from "../support/damage.js";
import { anyNumberSample, jsonSample, TARGETS, tryTokenizer } from "../targets.js";

const ROOT = new URL("../../../", import.meta.url).pathname;
const golden = (path: string) => join(ROOT, "test/golden", path);

/** A place for formats that are read from files; gone when the process ends. */
const scratch = mkdtempSync(join(tmpdir(), "llq-attack-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
function inFile(name: string, bytes: Uint8Array): string {
  const path = join(scratch, name);
  writeFileSync(path, bytes);
  return path;
}

const families = readdirSync(golden("families"), { withFileTypes: true }).filter(
  (entry) => entry.isDirectory() && entry.name !== "published",
);
const readJson = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const textSample = (text: string): Sample => ({
  bytes: Buffer.from(text),
  renumbered: (random) => {
    const lines = text.split("\n");
    const at = random.below(lines.length);
    const line = random.pick([
      random.pick(lines),
      String(random.pick(EDGES)),
      "",
      '"',
      `${lines[at]},`,
      "\u0000",
    ]);
    return Buffer.from([...lines.slice(0, at), line, ...lines.slice(at + random.below(2))].join("\n"));
  },
});

/** A GGUF of a whole model, up to where the tensor data begin. */
function modelHeader(): Uint8Array {
  return planConvert(openModel(join(ROOT, "samples/tiny-llama")), findRecipe("F16")).header;
}

/** A baseline of two chunks, the frames of which are sound whatever their content. */
function baselineFile(form: "top" | "full", change?: [key: string, value: number], cut = 0): Uint8Array {
  const [context, vocabSize, k, chunks] = [8, 5, 2, 2];
  const tokens = Int32Array.from({ length: chunks * context }, (_, i) => i % vocabSize);
  const scored = 3;
  const head: Record<string, unknown> = {
    version: 1,
    model: "m",
    protocol: { name: "llama-perplexity", context, firstPosition: 4 },
    vocabSize,
    chunks,
    fingerprint: createHash("sha256").update(tokens).digest("hex"),
    keep: form === "top" ? { form, k } : { form },
  };
  if (change !== undefined) {
    const [key, value] = change;
    const place = (key in head ? head : key === "k" ? head["keep"] : head["protocol"]) as Record<
      string,
      unknown
    >;
    place[key] = value;
  }
  const nll = new Float64Array(scored).fill(1);
  const record =
    form === "top"
      ? encodeTopRecord({
          nll,
          ids: new Uint32Array(scored * k),
          logProbs: new Float32Array(scored * k),
          tail: new Float32Array(scored),
        })
      : encodeFullRecord({ nll, logits: new Uint8Array(2 * scored * vocabSize) });
  const bytes = Buffer.concat([
    Buffer.from("llq_base"),
    encodeFrame(head),
    encodeFrame(new Uint8Array(tokens.buffer)),
    record,
    record,
  ]);
  return bytes.subarray(0, bytes.length - cut);
}

const baselineSample = (form: "top" | "full"): Sample => ({
  bytes: baselineFile(form),
  renumbered: (random) => {
    const key = random.pick([
      "version",
      "vocabSize",
      "chunks",
      "context",
      "firstPosition",
      "stride",
      "bos",
      "k",
    ]);
    const value = random.below(2) === 0 ? random.below(12) : Number(random.pick(EDGES));
    return baselineFile(form, [key, value], random.below(3));
  },
});

function logitsFile(): Uint8Array {
  const head = Buffer.alloc(20);
  head.write("_logits_");
  for (const [i, value] of [4, 3, 2].entries()) head.writeInt32LE(value, 8 + 4 * i);
  return Buffer.concat([head, Buffer.alloc(2 * 4 * 4), Buffer.alloc(2 * 16)]);
}

function readBaselineFile(bytes: Uint8Array): void {
  const path = inFile("baseline", bytes);
  const source = new FileSource(path);
  const fd = openSync(path, "r");
  try {
    const { base, chunks, protocol } = readBaseline(source, fd, 1);
    assert.equal(base.records.length, chunks.length);
    for (const { offset, byteLength } of base.records) assert.ok(offset + byteLength <= bytes.length);
    if (base.form === "top") readTopRecord(base, 0, scoredTokens(protocol));
    if (base.form === "full") readFullRecord(base, 0, scoredTokens(protocol));
  } finally {
    source.close();
    closeSync(fd);
  }
}

const PRINT = "0".repeat(64);
function journalBytes(): Uint8Array {
  const path = join(scratch, "journal");
  const results = [{ byteLength: 4, checksum: 1, squaredError: 0, squaredSum: 1, maxError: 0 }];
  new Journal(path, PRINT, new Map([[0, results], [1, results]])).close(); // biome-ignore format: one line
  return readFileSync(path);
}
function checkpointBytes(): Uint8Array {
  const path = join(scratch, "checkpoint");
  writeCheckpoint(path, "imatrix 1", PRINT, { chunks: 2, sums: new Float64Array(4) });
  return readFileSync(path);
}

const adapter = join(scratch, "adapter");
mkdirSync(adapter);
for (const name of readdirSync(golden("lora/patterns")))
  writeFileSync(join(adapter, name), readFileSync(join(golden("lora/patterns"), name)));
const tokenizers = join(scratch, "tokenizer");
mkdirSync(tokenizers);

/** What npm run fuzz has no target for: files that are read beside others, and those of ours. */
const MORE: readonly Target[] = [
  {
    name: "config.json",
    samples: families.map(({ name }) => jsonSample(readJson(golden(`families/${name}/config.json`)))),
    parse(bytes) {
      const json = parseJson("config.json", bytes);
      const architecture = architectureOfConfig("config.json", json);
      const { keys } = architecture.read("config.json", json);
      const name = architecture.name;
      const all = new Map([
        ["general.architecture", meta.string(name)],
        ...keys.map(([key, field]) => [`${name}.${key}`, field] as const),
      ]);
      const { blockCount, vocabSize } = readHParams("config.json", all);
      assert.ok(
        blockCount >= 1 && blockCount <= 4096 && (vocabSize === undefined || Number.isSafeInteger(vocabSize)),
      );
    },
  },
  {
    name: "gguf of a model",
    samples: [anyNumberSample(modelHeader())],
    parse(bytes) {
      const gguf = readGguf(new BufferSource("x.gguf", bytes), { headerOnly: true });
      const { tensors } = describedTensors("x.gguf", gguf, gguf.metadata);
      assert.ok(tensors.every(({ shape }) => shape.every((length) => length > 0)));
      assert.ok(vocabFromMetadata("x.gguf", gguf.metadata).tokens.length > 0);
    },
  },
  {
    name: "tokenizer_config.json",
    samples: families
      .map(({ name }) => golden(`families/${name}/tokenizer_config.json`))
      .flatMap((path) => {
        try {
          return [jsonSample(readJson(path))];
        } catch {
          return []; // has none
        }
      }),
    parse(bytes) {
      writeFileSync(join(tokenizers, "tokenizer_config.json"), bytes);
      readTokenizerConfig(tokenizers);
    },
  },
  {
    name: "index of shards",
    samples: [
      jsonSample({
        metadata: { total_size: 8 },
        weight_map: { a: "x-1.safetensors", b: "x-1.safetensors", c: "y.safetensors" },
      }),
    ],
    parse(bytes) {
      const source = (name: string) =>
        ({ file: 0, offset: 8, byteLength: 4, dtype: "F32", shape: [1], name }) as const;
      const shard = (path: string) => ({
        format: "safetensors" as const,
        files: [path],
        tensors: new Map((path.includes("x-1") ? ["a", "b"] : ["c"]).map((name) => [name, source(name)])),
        opaque: new Map(),
        metadata: new Map(),
      });
      const { files, tensors } = openShards(inFile("index.json", bytes), shard);
      for (const path of files)
        assert.ok(path.startsWith(`${scratch}/`) && !path.slice(scratch.length + 1).includes("/"));
      assert.ok(tensors.size > 0);
    },
  },
  {
    name: "adapter_config.json",
    samples: [jsonSample(readJson(join(adapter, "adapter_config.json")))],
    parse(bytes) {
      writeFileSync(join(adapter, "adapter_config.json"), bytes);
      for (const { add } of openAdapter(adapter).changes.values())
        assert.ok(add === undefined || Number.isFinite(add.scale));
    },
  },
  {
    name: "baseline",
    samples: [baselineSample("top"), baselineSample("full"), anyNumberSample(baselineFile("top"))],
    parse: readBaselineFile,
  },
  { name: "llama-perplexity's logits", samples: [anyNumberSample(logitsFile())], parse: readBaselineFile },
  {
    name: "csv",
    samples: [textSample('question,A,B,C,D,answer\n"a ""b""",1,2,3,4,A\n"x\ny",1,2,3,4,B\n')],
    parse(bytes) {
      const records = parseCsv("x.csv", Buffer.from(bytes).toString());
      for (const { fields } of records) assert.equal(fields.length, records[0]!.fields.length);
    },
  },
  {
    name: "questions",
    samples: [
      textSample(
        '{"question":"a","passage":"b","answer":true}\n{"question":"c","passage":"d","answer":false}\n',
      ),
      textSample("what,1,2,3,4,A\nwho,1,2,3,4,D\n"),
    ],
    parse(bytes) {
      for (const { options, answer } of readQuestions(inFile("questions", bytes)).questions)
        assert.ok(options[answer] !== undefined);
    },
  },
  {
    name: "tiktoken",
    samples: [
      textSample(Array.from({ length: 256 }, (_, i) => `${Buffer.of(i).toString("base64")} ${i}`).join("\n")),
    ],
    parse(bytes) {
      tryTokenizer(vocabFromTiktoken("x.tiktoken", Buffer.from(bytes).toString(), NO_CONFIG, 300));
    },
  },
  {
    name: "vocab.json and merges.txt",
    samples: [textSample("#version: 0.2\na b\nab c\nĠ a")],
    parse(bytes) {
      const vocab = { a: 0, b: 1, c: 2, ab: 3, abc: 4, Ġ: 5, Ġa: 6 };
      tryTokenizer(vocabFromGpt2Files("vocab.json", vocab, Buffer.from(bytes).toString(), NO_CONFIG, 8));
    },
  },
  {
    name: "journal",
    samples: [anyNumberSample(journalBytes())],
    parse(bytes) {
      for (const [index, results] of readJournal(inFile("journal", bytes), PRINT) ?? [])
        assert.ok(Number.isInteger(index) && results.every(({ checksum }) => typeof checksum === "number"));
    },
  },
  {
    name: "checkpoint",
    samples: [anyNumberSample(checkpointBytes())],
    parse(bytes) {
      const sums = readCheckpoint(inFile("checkpoint", bytes), "imatrix 1", PRINT);
      assert.ok(sums === undefined || sums.sums instanceof Float64Array);
    },
  },
  {
    name: "lock",
    samples: [jsonSample({ place: "here", pid: 1, start: "1", since: "2026-01-01T00:00:00.000Z" })],
    parse(bytes) {
      const path = inFile("lock", bytes);
      const lock = tryLock(path);
      if ("release" in lock) lock.release();
    },
  },
];

/** Every format that llq reads or writes. */
export const ATTACKED: readonly Target[] = [...TARGETS, ...MORE];
