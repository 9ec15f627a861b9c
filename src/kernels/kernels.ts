import { type DTypeName, dtype } from "../../formats/dtype.js";
import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";
import { readModule } from "./modules.js";
import type { Fused, Products } from "./products.js";

const PAGE_SIZE = 65536;
const MAX_PAGES = 65536;
/** As much as the table of a codebook takes, and a little: that of IQ1 has 1,390,328 bytes. */
const MOST_TABLE_BYTES = 1.5 * 2 ** 20;

let running = false;

/** Whether kernels may have run, in this thread or in those it handed the module to. */
export function haveRun(): boolean {
  return running;
}

let compiled: WebAssembly.Module | undefined;

/** The kernels' module, to be handed to threads. It is kept: what the engine has made of its code serves later runs too. */
export function compileKernels(): WebAssembly.Module {
  running = true;
  compiled ??= new WebAssembly.Module(readModule("kernels")!);
  return compiled;
}

/** Functions of a module that stand in for the kernels' own of the same name. Plain data. */
export interface Searches {
  readonly module: WebAssembly.Module;
  readonly functions: readonly string[];
}

/** Everything a module exports, addresses and counts as numbers. */
type KernelFunction = (...args: number[]) => number;

/** The first address from there on at which memory is reserved. */
export function aligned(address: number): number {
  return Math.ceil(address / 64) * 64;
}

/**
 * The kernels with a memory of their own and a bump allocator over it. Not to be shared between threads.
 * Views made by `bytes` and `floats` are void after the next `reserve`, which may grow the memory.
 */
export class Kernels {
  readonly memory: WebAssembly.Memory;
  /** Whose functions stand in for the kernels' own of the same name. */
  readonly products: Products | undefined;
  readonly #exports: Record<string, KernelFunction>;
  readonly #heapBase: number;
  #top: number;
  /** Where the tables of codebooks lie, in the order of their addresses; never handed out again. */
  readonly #tables: { readonly start: number; readonly end: number }[] = [];
  readonly #prepared = new Set<DTypeName>();

  /** @throws LlqError `no-space` when the engine cannot reserve address space for the memory */
  constructor(
    module: WebAssembly.Module = compileKernels(),
    products?: Products,
    searches?: Searches,
    fused?: Fused,
  ) {
    try {
      this.memory = new WebAssembly.Memory({ initial: 32, maximum: MAX_PAGES });
    } catch (cause) {
      throw new LlqError("no-space", t`no address space for the kernels' memory`, {
        hint: t`a limit on virtual memory (ulimit -v) below about 12 GB prevents WebAssembly memories`,
        cause,
      });
    }
    this.products = products;
    const exports = this.#instantiate(module);
    const better = [products, fused].map((one) => one && this.#widest(one));
    const wider = searches && this.#instantiate(searches.module);
    const chosen = searches?.functions.map((name) => [name, wider![name]]) ?? [];
    this.#exports = Object.assign({}, exports, ...better, Object.fromEntries(chosen));
    this.#heapBase = (exports["HEAP_BASE"] as WebAssembly.Global).value;
    this.#top = this.#heapBase;
  }

  #widest({ module, bits }: Fused): WebAssembly.Exports {
    const exports = this.#instantiate(module);
    (exports["bits"] as WebAssembly.Global).value = bits;
    return exports;
  }

  #instantiate(module: WebAssembly.Module): WebAssembly.Exports {
    return new WebAssembly.Instance(module, { env: { memory: this.memory } }).exports;
  }

  /** The exported function of that name. */
  call(name: string): KernelFunction {
    return this.#exports[name]!;
  }

  /** Forgets every reservation made since `mark`, or all of them. */
  reset(mark: number = this.#heapBase): void {
    this.#top = mark;
  }

  /** Where the next reservation will start: hand it to `reset` to free what follows. */
  mark(): number {
    return this.#top;
  }

  /** Address of `byteLength` fresh bytes, 64-byte aligned; their content is whatever was there before. */
  reserve(byteLength: number): number {
    let address = aligned(this.#top);
    for (const { start, end } of this.#tables) {
      if (address < end && address + byteLength > start) address = aligned(end);
    }
    const end = address + byteLength;
    const missing = end - this.memory.buffer.byteLength;
    if (missing > 0) this.#grow(missing);
    this.#top = end;
    return address;
  }

  /** Adds memory at the end; returns where it begins. */
  #grow(byteLength: number): number {
    try {
      return this.memory.grow(Math.ceil(byteLength / PAGE_SIZE)) * PAGE_SIZE;
    } catch (cause) {
      const wanted = this.memory.buffer.byteLength + byteLength;
      throw new LlqError("no-space", t`${wanted} bytes of kernel memory cannot be had`, { cause });
    }
  }

  /** Writes the table that quantizing to some types needs, once and for good. */
  #prepare(name: DTypeName): void {
    if (this.#prepared.has(name)) return;
    this.#prepared.add(name);
    const write = this.#exports[`codebook_${dtype(name).kernel}`];
    if (write === undefined) return;
    // How long a table is shows when it is done: room for any, of which the rest is not kept.
    const start = this.#grow(MOST_TABLE_BYTES);
    this.#tables.push({ start, end: start + write(start) });
  }

  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, length);
  }

  floats(address: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, length);
  }

  /** `n` weights stored as `name` at `src` to f32 at `dst`. */
  toF32(name: DTypeName, src: number, dst: number, n: number): void {
    this.#exports[`dequantize_row_${dtype(name).kernel}`]!(src, dst, n);
  }

  /**
   * `n` f32 at `src` to whole blocks of `name` at `dst`. The first of a type with a codebook makes room for its table,
   * so views are void.
   * @param weights address of `n` importances; then `n` is one row
   */
  fromF32(name: DTypeName, src: number, dst: number, n: number, weights?: number): void {
    const { kernel, kernels } = dtype(name);
    this.#prepare(name);
    if (weights === undefined || kernels !== "weighted")
      this.#exports[`quantize_row_${kernel}`]!(src, dst, n);
    else this.#exports[`quantize_row_${kernel}_weighted`]!(src, dst, n, weights);
  }
}
