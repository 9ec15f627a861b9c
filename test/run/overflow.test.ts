import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { byteLength, DTYPES, type DTypeName } from "../../formats/dtype.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { encode } from "../../src/run/write/encode.js";
import { encodeJobs } from "../../src/run/write/tensor-jobs.js";
import { storedWhole, type Tensor } from "../../src/tensor.js";
import { refusal } from "../support/build/build.js";
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
  const tensor: Tensor = { name: "w", role: "ffn_up", layer: 1, shape, ...storedWhole(source) };
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
