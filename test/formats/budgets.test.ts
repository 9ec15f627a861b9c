import { describe, expect, test } from "vitest";
import { BufferSource, ByteReader } from "../../formats/bytes.js";
import { parseCsv } from "../../formats/csv.js";
import { readFlax } from "../../formats/flax/flax.js";
import { readGguf } from "../../formats/gguf/gguf.js";
import { readImatrix } from "../../formats/imatrix/imatrix.js";
import { parseJson } from "../../formats/json.js";
import { readSafetensors } from "../../formats/safetensors/safetensors.js";
import { readSentencePiece } from "../../formats/sentencepiece/sentencepiece.js";
import { readPickle } from "../../formats/torch/pickle.js";
import { readTorch } from "../../formats/torch/torch.js";
import { ALLOWED_GLOBALS } from "../../formats/torch/torch-globals.js";
import { buildDat, buildGguf, buildSafetensors, refusal, T } from "../support/build/build.js";
import { buildFlax } from "../support/build/build-flax.js";
import { buildTorch, P } from "../support/build/build-torch.js";

// What a file may make a reader build is counted against limits of work, wherever an entry can refer to earlier ones or
// costs more memory than it has bytes. All of these are small, and cost a reader without limits some seconds at most.

const latin1 = (text: string) => Buffer.from(text, "latin1");
const source = (bytes: Uint8Array) => new BufferSource("x", bytes);
const numbered = (count: number, item: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => item(i)).join("");
/** A pickled whole number. */
const int = (i: number) => `J${String.fromCharCode(i & 255, (i >> 8) & 255, (i >> 16) & 255, 0)}`;

describe("is refused at a limit of work:", () => {
  test.each<[what: string, read: () => unknown, message: string]>([
    [
      "a dict made again and again of one list of pairs",
      () => {
        const pairs = `](${numbered(2000, (i) => `${int(i)}N\x86`)}e${P.put(0)}`;
        const made = `${P.global("collections", "OrderedDict")}${P.put(1)}${`${P.get(1)}${P.get(0)}\x85R`.repeat(1000)}`;
        const pickle = latin1(`${P.proto}(${pairs}${made}t.`);
        return readPickle(new ByteReader(source(pickle)), ALLOWED_GLOBALS);
      },
      "dicts of more than 1048576 items",
    ],
    [
      "names joined from one long key",
      () => {
        const inner = `}(${numbered(2000, (i) => `${int(i)}K\x01`)}u`;
        return readTorch(
          source(buildTorch(`}(X${String.fromCharCode(0x60, 0xea, 0, 0)}${"k".repeat(60_000)}${inner}u`)),
        );
      },
      "names of more than 33554432 characters",
    ],
    [
      "names joined from long keys of Flax",
      () =>
        readFlax(
          source(
            buildFlax({
              ["k".repeat(60_000)]: Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`${i}`, 1])),
            }),
          ),
        ),
      "names of more than 33554432 characters",
    ],
    [
      "metadata by the thousand",
      () =>
        readSafetensors(
          source(
            buildSafetensors(
              `{"__metadata__":{${numbered(70_000, (i) => `${i > 0 ? "," : ""}"${i}":""`)}}}`,
              0,
            ),
          ),
        ),
      "metadata of more than 65536 values",
    ],
    [
      "shapes of sixty dimensions",
      () => {
        const entry = (i: number) =>
          `${i > 0 ? "," : ""}"${i}":{"dtype":"F16","shape":[0${",1".repeat(62)}],"data_offsets":[0,0]}`;
        return readSafetensors(source(buildSafetensors(`{${numbered(34_000, entry)}}`, 0)));
      },
      "more than 2097152 numbers in arrays",
    ],
    [
      "an array of a GGUF, when it is decoded",
      () => {
        const bytes = Buffer.alloc(12 + 2 ** 21 + 1);
        const { metadata } = readGguf(
          source(
            buildGguf({ fields: [["k", T.array, { item: T.u8, values: Array.from(bytes, () => 0) }]] }).bytes,
          ),
        );
        const field = metadata.get("k")!;
        expect(field.count).toBe(bytes.length); // known without
        return field.value;
      },
      "metadata key k has more than 2097152 items",
    ],
    [
      "fields of a SentencePiece model",
      () => readSentencePiece(source(new Uint8Array(3 * 2_621_441).map((_, i) => [0x80, 0x04, 0][i % 3]!))),
      "more than 2621440 fields",
    ],
    [
      "entries of an importance matrix",
      () =>
        readImatrix(
          source(
            Buffer.concat([buildDat({ count: 2 ** 18 + 1, entries: [] }), Buffer.alloc(17 * (2 ** 18 + 1))]),
          ),
        ),
      "262145 entries; at most 262144 are allowed",
    ],
    [
      "values of JSON",
      () => parseJson("x", latin1(`[${"0,".repeat(2 ** 18)}0]`)),
      "JSON of more than 262144 values",
    ],
    [
      "values of JSON, a limit given",
      () => parseJson("x", latin1("[[],[],[]]"), 5),
      "JSON of more than 5 values",
    ],
    [
      "keys of JSON",
      () => parseJson("x", latin1(`{${'"":0,'.repeat(2 ** 19)}"":0}`), 2 ** 22),
      "JSON of more than 524288 keys",
    ],
    ["fields of CSV", () => parseCsv("x", ",".repeat(2 ** 21 + 1)), "more than 2097152 fields"],
  ])("%s", (_, read, message) => {
    const before = process.memoryUsage().rss;
    expect(refusal(read)).toContain(message);
    expect(process.memoryUsage().rss - before).toBeLessThan(300e6);
  });
});

test("text in JSON is no values", () => {
  expect(parseJson("x", latin1('["[,:{,","\\",[:"]'), 2)).toEqual(["[,:{,", '",[:']);
});
