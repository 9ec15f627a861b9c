import { describe, expect, test } from "vitest";
import { byteLength, DTYPES, type DType, dtypeById, findDType } from "../../formats/dtype.js";
import { constant, kernels } from "../support/kernels.js";

const rows: readonly DType[] = DTYPES;

describe.each(rows)("$name", (row) => {
  const suffix = row.kernel.toUpperCase();

  test("has the kernels its row promises", () => {
    expect(kernels).toHaveProperty(`dequantize_row_${row.kernel}`);
    expect(`quantize_row_${row.kernel}` in kernels).toBe(row.kernels !== "read");
    expect(`quantize_row_${row.kernel}_weighted` in kernels).toBe(row.kernels === "weighted");
  });

  test("has the sizes of its kernels", () => {
    expect(constant(`BLOCK_SIZE_${suffix}`)).toBe(row.blockSize);
    expect(constant(`TYPE_SIZE_${suffix}`)).toBe(row.typeSize);
  });

  test("is found by name and id", () => {
    expect(findDType(row.name.toLowerCase())).toBe(row.name);
    if (row.ggml !== undefined) expect(dtypeById(row.ggml)).toBe(row.name);
  });
});

test.each(rows.filter((row) => row.kernels !== "read"))(
  "$name falls back, in the end, to a type that fits any row",
  (row) => {
    let type = row;
    for (const seen = new Set<DType>(); type.fallback; type = rows.find((r) => r.name === type.fallback)!) {
      expect(seen).not.toContain(type);
      seen.add(type);
    }
    expect(type.blockSize).toBe(1);
  },
);

test("names, ids and kernels are unique", () => {
  for (const field of ["name", "ggml", "kernel"] as const) {
    const values = rows.map((row) => row[field]).filter((value) => value !== undefined);
    expect(new Set(values).size).toBe(values.length);
  }
});

test("a row that is not whole blocks has no length", () => {
  expect(byteLength("Q8_0", [3, 64])).toBe(3 * 2 * 34);
  expect(() => byteLength("Q8_0", [3, 65])).toThrow("rows of 65 are not a whole number of Q8_0 blocks of 32");
});
