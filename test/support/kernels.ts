import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { DTYPES, type DType } from "../../formats/dtype.js";
import { readModule } from "../../src/kernels/modules.js";

const memory = new WebAssembly.Memory({ initial: 32, maximum: 65536 });
const instance = new WebAssembly.Instance(new WebAssembly.Module(readModule("kernels")!), {
  env: { memory },
});

/** Everything the kernels module exports. */
export const kernels: WebAssembly.Exports = instance.exports;

/** The exported constant of that name, if there is one. */
export function constant(name: string): number | undefined {
  const value = kernels[name];
  return value instanceof WebAssembly.Global ? value.value : undefined;
}

/** Calls a kernel by name, with addresses and counts. */
export function call(name: string, ...args: number[]): number {
  return (kernels[name] as (...args: number[]) => number)(...args);
}

/** Copies each of `data` into the kernels' memory, over what the last call placed; returns the addresses. */
export function place(...data: ArrayBufferView[]): number[] {
  const addresses: number[] = [];
  let top = constant("HEAP_BASE")!;
  for (const view of data) {
    addresses.push(Math.ceil(top / 64) * 64);
    top = addresses.at(-1)! + view.byteLength;
  }
  const missing = top - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65536));
  for (const [i, view] of data.entries()) {
    const source = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    new Uint8Array(memory.buffer).set(source, addresses[i]!);
  }
  return addresses;
}

/** A copy of what lies in the kernels' memory. */
export function bytes(address: number, length: number): Uint8Array {
  return new Uint8Array(memory.buffer).slice(address, address + length);
}

/** Rows of floats as blocks; with `weights`, one for each column, by the weighted kernel. */
export function quantize(type: DType, x: Float32Array, weights?: Float32Array): Uint8Array {
  const rowSize = ((weights?.length ?? x.length) / type.blockSize) * type.typeSize;
  // A byte that the kernel forgets to write stays visible.
  const out = new Uint8Array((x.length / type.blockSize) * type.typeSize).fill(0xaa);
  const [from, to, w] = place(x, out, weights ?? new Float32Array());
  if (weights) {
    for (let row = 0; row * rowSize < out.length; row++) {
      const source = from! + row * weights.byteLength;
      call(`quantize_row_${type.kernel}_weighted`, source, to! + row * rowSize, weights.length, w!);
    }
  } else {
    call(`quantize_row_${type.kernel}`, from!, to!, x.length);
  }
  return bytes(to!, out.length);
}

export function dequantize(type: DType, blocks: Uint8Array): Float32Array {
  const out = new Float32Array((blocks.length / type.typeSize) * type.blockSize).fill(-1);
  const [from, to] = place(blocks, out);
  call(`dequantize_row_${type.kernel}`, from!, to!, out.length);
  return new Float32Array(bytes(to!, out.byteLength).buffer);
}

/** One output of ggml in golden/ggml; the fields are explained in its INDEX.json. */
export interface GoldenCase {
  readonly file: string;
  readonly type: string;
  readonly input: string;
  readonly imatrix: boolean;
  readonly imatrix_ignored?: boolean;
  readonly row_bytes: number;
  readonly dequant_sha256_nan7fc00000: string;
}

/** The cases of a type, less those where ggml ignores the importance matrix. */
export function goldenCases(kernel: string): GoldenCase[] {
  const index = JSON.parse(goldenFile("INDEX.json").toString()) as { files: GoldenCase[] };
  return index.files.filter((entry) => entry.type.toLowerCase() === kernel && !entry.imatrix_ignored);
}

export function goldenFile(name: string): Buffer {
  return readFileSync(new URL(`../golden/ggml/${name}`, import.meta.url));
}

export function goldenFloats(name: string): Float32Array {
  const file = goldenFile(name);
  return new Float32Array(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
}

/** The row of the table for a kernel suffix. */
export function typeOf(kernel: string): DType {
  return DTYPES.find((row) => row.kernel === kernel)!;
}

/** Of the bits, every NaN as 0x7fc00000: engines may choose the bits of the NaNs they make. */
export function sha256(floats: Float32Array): string {
  const bits = new Uint32Array(floats.buffer).map((word, i) => (Number.isNaN(floats[i]) ? 0x7fc00000 : word));
  return createHash("sha256").update(bits).digest("hex");
}

/** Rows in which the bytes differ. */
export function differingRows(actual: Uint8Array, expected: Uint8Array, rowBytes: number): number[] {
  const rows = new Set<number>();
  for (let i = 0; i < expected.length; i++) if (actual[i] !== expected[i]) rows.add(Math.floor(i / rowBytes));
  return [...rows];
}
