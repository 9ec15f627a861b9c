import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DTYPES, type DType, type DTypeName } from "../../formats/dtype.js";
import { compileKernels, Kernels, type Searches } from "../../src/kernels/kernels.js";
import {
  allowPairedSearches,
  chooseSearches,
  exactFunctions,
  pairedSearches,
  SEARCHED,
  type Search,
} from "../../src/kernels/searches.js";
import { differingRows, goldenCases, goldenFile, goldenFloats } from "../support/kernels.js";

// The searches of a module of their own, as every engine compiles them and, where it can, with two vectors as one: bytes are
// ggml's, as those of the kernels (kernels-k.test.ts).

const path = new URL("../../dist/searches.wasm", import.meta.url);
const paired = pairedSearches();
const plain = new WebAssembly.Module(new Uint8Array(readFileSync(path)));
const compiled = compileKernels();
const functions = WebAssembly.Module.exports(plain)
  .map(({ name }) => name)
  .filter((name) => name.startsWith("quantize_row_"));
const types = (DTYPES as readonly DType[]).filter(({ name }) => SEARCHED.has(name as DTypeName));

test("its types are known without the module", () => {
  // Q3_K's alone, without an importance matrix, is the kernels' own.
  const expected = types
    .flatMap(({ kernel }) => [`quantize_row_${kernel}`, `quantize_row_${kernel}_weighted`])
    .filter((name) => name !== "quantize_row_q3_k");
  expect(functions.toSorted()).toEqual(expected.toSorted());
});

test("all of them give the kernels' bytes in their trials", () => {
  const kernels = new Kernels(compiled);
  const { exports } = new WebAssembly.Instance(paired ?? plain, { env: { memory: kernels.memory } });
  expect(exactFunctions(kernels, exports as Record<string, Search>).toSorted()).toEqual(functions.toSorted());
});

test("none is compiled where kernels may have run", () => {
  allowPairedSearches();
  expect(chooseSearches(1 << 30)).toBeUndefined();
});

test("its data overlap with no other module's", () => {
  const address = (module: WebAssembly.Module) => {
    const memory = new WebAssembly.Memory({ initial: 32, maximum: 65536 });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    return (exports["DATA_END"] as WebAssembly.Global).value as number;
  };
  const { targets } = JSON.parse(readFileSync(new URL("../../asconfig.json", import.meta.url), "utf8"));
  const bounds = [
    address(compiled),
    targets.searches.memoryBase,
    address(plain),
    targets.fused.memoryBase,
    targets["products-plain"].memoryBase,
  ];
  expect(bounds).toEqual(bounds.toSorted((a, b) => a - b));
});

describe("a function that gives one wrong byte in its trial", () => {
  const kernels = new Kernels(compiled);
  const { exports } = new WebAssembly.Instance(plain, { env: { memory: kernels.memory } });
  const right = Object.fromEntries(functions.map((name) => [name, exports[name] as Search]));

  test.each(functions)("%s is not chosen, and the others are", (name) => {
    const wrong: Search = (x, y, n, weights) => {
      right[name]!(x, y, n, weights);
      kernels.bytes(y, 1)[0]! ^= 1;
    };
    const exact = exactFunctions(kernels, { ...right, [name]: wrong });
    expect(exact.toSorted()).toEqual(functions.filter((each) => each !== name).toSorted());
  });
});

const modules = [
  { how: "as it is", module: plain },
  ...(paired === undefined ? [] : [{ how: "paired", module: paired }]),
];

describe.each(modules)("$how", ({ module }) => {
  const searches: Searches = { module, functions };
  const weights = goldenFloats("imatrix.f32");

  describe.each(types)("$name is ggml's", (type) => {
    test.each(goldenCases(type.kernel))("$file", (golden) => {
      const x = goldenFloats(golden.input);
      const kernels = new Kernels(compiled, undefined, searches);
      const from = kernels.reserve(x.byteLength);
      kernels.floats(from, x.length).set(x);
      const w = kernels.reserve(weights.byteLength);
      kernels.floats(w, weights.length).set(weights);
      const expected = goldenFile(golden.file);
      const to = kernels.reserve(expected.length);
      const row = golden.imatrix ? weights.length : x.length;
      for (let i = 0; i < x.length; i += row) {
        const y = to + (i / type.blockSize) * type.typeSize;
        kernels.fromF32(type.name as DTypeName, from + i * 4, y, row, golden.imatrix ? w : undefined);
      }
      expect(differingRows(kernels.bytes(to, expected.length), expected, golden.row_bytes)).toEqual([]);
    });
  });
});
