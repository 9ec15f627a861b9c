import { parentPort, workerData } from "node:worker_threads";
import type { DTypeName } from "../../../formats/dtype.js";
import { Kernels } from "../../../src/kernels/kernels.js";
import type { Products } from "../../../src/kernels/products.js";
import { int8Form, quantizeActivations } from "../../../src/net/products/int8.js";
import { leanSize, multiplyLean } from "../../../src/net/products/lean.js";
import { Random } from "../../support/random.js";

// One thread of decode.ts: multiplies matrices larger than its caches for as long as it is asked to.

export interface Question {
  readonly type: DTypeName;
  readonly tokens: number;
}

export interface Setting {
  readonly kernels: WebAssembly.Module;
  readonly products: Products | undefined;
}

/** Columns of every matrix, bytes of all that pass before the first comes again, rows multiplied at a time. */
const K = 4096;
const BYTES = 256 << 20;
const SLAB = 256;
/** Timings, short enough that some are undisturbed on a busy machine. */
const MS = 3;
const TIMINGS = 100;

const { kernels: module, products }: Setting = workerData;
const kernels = new Kernels(module, products);
const w = kernels.reserve(BYTES);
kernels.bytes(w, BYTES).fill(0x11);
const random = new Random(1);

/** Bytes of weights per second, at best. */
function speed({ type, tokens }: Question): number {
  const mark = kernels.mark();
  const x = kernels.reserve(Math.ceil(tokens / 4) * 4 * K * 4);
  kernels.floats(x, tokens * K).set(random.floats(tokens * K));
  const form = int8Form(type, kernels.products);
  const packed = kernels.reserve(Math.ceil(tokens / 4) * 4 * K * 4);
  if (form === undefined) kernels.call("pack_blocks4")(x, K * 4, tokens, K, packed);
  const input = form === undefined ? packed : quantizeActivations(kernels, form, x, tokens, K);
  const y = kernels.reserve(tokens * SLAB * 4);
  const slab = leanSize(kernels, type, SLAB, K);
  let best = 0;
  let at = 0;
  for (let timing = 0; timing < TIMINGS; timing++) {
    const started = performance.now();
    let [bytes, ms] = [0, 0];
    for (; ms < MS; ms = performance.now() - started, bytes += slab) {
      multiplyLean(kernels, type, input, w + at, y, tokens, SLAB, K, SLAB * 4);
      at = at + 2 * slab > BYTES ? 0 : at + slab;
    }
    best = Math.max(best, (bytes / ms) * 1000);
  }
  kernels.reset(mark);
  return best;
}

parentPort!.on("message", (question: Question) => parentPort!.postMessage(speed(question)));
