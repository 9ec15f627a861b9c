import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { byteLength, DTYPES, type DTypeName } from "../../formats/dtype.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { encode } from "../../src/run/write/encode.js";
import { quantizeChecked } from "../../src/run/write/overflow.js";
import { encodeJobs } from "../../src/run/write/tensor-jobs.js";
import type { Tensor } from "../../src/tensor.js";
import { refusal } from "../support/build/build.js";
import { storedTensor } from "../support/build/tensor.js";
import { readTensors } from "../support/checkpoint.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// Which weights llama-quantize refuses to write; golden/make/overflow.py.
const { row, column, refusedFrom } = JSON.parse(
  readFileSync(new URL("../golden/quantize/overflow.json", import.meta.url), "utf8"),
) as { row: number; column: number; refusedFrom: Record<string, number | null> };
const scratch = scratchFolder();
const kernels = new Kernels();
const stored = readTensors(join(TINY_LLAMA, "model.safetensors")).get("model.layers.1.mlp.up_proj.weight")!;
const shape = [16, stored.shape[1]!];
const weights = Float32Array.from({ length: shape[0]! * shape[1]! }, (_, i) =>
  new DataView(Uint8Array.of(0, 0, stored.bytes[2 * i]!, stored.bytes[2 * i + 1]!).buffer).getFloat32(
    0,
    true,
  ),
);

/** What becomes of some rows with `value` at the place. */
function written(type: string, value: number, importances?: Float32Array): string {
  const dtype = type.replace(/_K_S$/, "_K") as DTypeName;
  const path = join(scratch, "rows");
  writeFileSync(path, weights.with(row * shape[1]! + column, value));
  const source = { file: 0, offset: 0, byteLength: weights.byteLength, dtype: "F32" as const, shape };
  const tensor = storedTensor(source, { name: "w", layer: 1 });
  const plan = {
    tensor,
    dtype,
    reason: "",
    fellBack: false,
    offset: 0,
    byteLength: byteLength(dtype, shape),
  };
  const [fd, out] = [openSync(path, "r"), openSync(join(scratch, "out"), "w")];
  const given = importances && [importances];
  const [job] = encodeJobs({ ...plan, weights: given }, [fd], { fd: out, name: "out" });
  const result = refusal(() => encode(job!, kernels));
  for (const each of [fd, out]) closeSync(each);
  return result;
}

describe.each(Object.keys(refusedFrom))("%s", (type) => {
  const power = refusedFrom[type]!;

  test.skipIf(power === null)("refuses what llama-quantize refuses, by its place", () => {
    expect(written(type, 2 ** (power - 1))).toBe("accepted");
    for (const value of [2 ** power, -(2 ** power), 3e38]) {
      expect(written(type, value)).toMatch(
        new RegExp(
          `^bad-input: tensor w: row ${row}, column ${column}: the weight is ${Math.fround(value)}, `.replace(
            "+",
            "\\+",
          ),
        ),
      );
    }
  });

  test.runIf(power === null)("holds all that F32 holds but the last bits", () => {
    expect(written(type, 3.38e38)).toBe("accepted");
    expect(written(type, 3.4028234e38)).toContain("which BF16 has as Infinity");
  });
});

test("with an importance matrix too, in every type that is written", () => {
  for (const { name, kernels: can } of DTYPES) {
    if (can !== "weighted") continue;
    expect(written(name, 1e38, new Float32Array(shape[1]!).fill(1)), name).toContain(
      "too large for a block of",
    );
  }
});

describe("weights that stay in memory, read back in pieces of 65536", () => {
  const [rows, length] = [5, 32768];
  const tensor = { name: "w", shape: [rows, length] } as unknown as Tensor;

  /** What becomes of zeros and one other weight; the bytes, or the refusal. */
  function quantized(type: DTypeName, at: number, value: number): Uint8Array | string {
    const mark = kernels.mark();
    const x = kernels.reserve(rows * length * 4);
    const size = byteLength(type, [rows, length]);
    const y = kernels.reserve(size);
    const top = kernels.mark();
    kernels.floats(x, rows * length).fill(0)[at] = value;
    const said = refusal(() => quantizeChecked(kernels, tensor, type, { x, firstRow: 100, rows, length }, y));
    const bytes = kernels.bytes(y, size).slice();
    if (said === "accepted") expect(kernels.mark()).toBe(top);
    kernels.reset(mark);
    return said === "accepted" ? bytes : said;
  }

  test.each([0, 32767, 65536, 98304, 5 * 32768 - 1])("at %i", (at) => {
    const place = `row ${100 + Math.floor(at / length)}, column ${at % length}`;
    expect(quantized("F16", at, 65520)).toContain(
      `tensor w: ${place}: the weight is 65520, which F16 has as`,
    );
    expect(quantized("Q8_0", at, 1e30)).toContain(`tensor w: ${place}: the weight is 1.0000000150474662e+30`);
    expect(quantized("Q8_0", at, Number.NaN)).toContain(place);
    // 1 in F16 is 0x3c00, and stands where it stood.
    const f16 = new Uint16Array((quantized("F16", at, 1) as Uint8Array).buffer);
    expect([f16.indexOf(0x3c00), f16.lastIndexOf(0x3c00)]).toEqual([at, at]);
  });
});
