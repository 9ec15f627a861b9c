import type { Kernels } from "../../kernels/kernels.js";
import type { Slab } from "../../net/products/matmul.js";
import type { Tensor } from "../../tensor.js";
import { encodeFullRecord, encodeTopRecord } from "./baseline-record.js";
import type { Likelihood } from "./comparison.js";

/** What of each distribution a baseline file gets: the `k` likeliest tokens, or all of them. */
export type Keep = { readonly form: "top"; readonly k: number } | { readonly form: "full" };

/** Takes logits slab by slab and makes records of a baseline file of them, one for each chunk. */
export interface Keeper {
  add(kernels: Kernels, slab: Slab): void;
  records(likelihood: Likelihood, chunks: number, kernels: Kernels): Uint8Array[];
}

export function createKeeper(keep: Keep, output: Tensor, tokens: number): Keeper {
  return keep.form === "top" ? keepTop(keep.k, tokens) : keepAll(output.shape[0]!, tokens);
}

/** Bytes of memory that keeping takes for so many tokens. */
export function keepMemory(keep: Keep | undefined, output: Tensor, tokens: number): number {
  if (keep === undefined) return 0;
  return tokens * (keep.form === "top" ? 16 * keep.k : 8 * output.shape[0]!);
}

function keepTop(k: number, tokens: number): Keeper {
  const ids = new Uint32Array(tokens * k);
  const logits = new Float32Array(tokens * k).fill(Number.NEGATIVE_INFINITY);
  return {
    add(kernels, { y, stride, first, rows }) {
      for (let token = 0; token < tokens; token++) {
        const slab = kernels.floats(y + token * stride, rows);
        const last = token * k + k - 1;
        for (let i = 0; i < rows; i++) {
          const logit = slab[i]!;
          if (logit > logits[last]!) insert(ids, logits, token * k, last, first + i, logit);
        }
      }
    },
    records({ nll, logSum }, chunks) {
      const logProbs = logits.map((logit, i) => logit - logSum[Math.floor(i / k)]!);
      const tail = Float32Array.from(nll, (_, token) => {
        const known = logProbs.subarray(token * k, (token + 1) * k);
        return Math.max(0, 1 - known.reduce((sum, logProb) => sum + Math.exp(logProb), 0));
      });
      const scored = tokens / chunks;
      return Array.from({ length: chunks }, (_, i) => {
        const [from, to] = [i * scored, (i + 1) * scored];
        return encodeTopRecord({
          nll: nll.subarray(from, to),
          ids: ids.subarray(from * k, to * k),
          logProbs: logProbs.subarray(from * k, to * k),
          tail: tail.subarray(from, to),
        });
      });
    },
  };
}

/** Puts a logit in its place among those from `first` to `last`, the largest first; of equal ones the earlier. */
function insert(
  ids: Uint32Array,
  logits: Float32Array,
  first: number,
  last: number,
  id: number,
  logit: number,
): void {
  let at = last;
  for (; at > first && logits[at - 1]! < logit; at--) {
    logits[at] = logits[at - 1]!;
    ids[at] = ids[at - 1]!;
  }
  logits[at] = logit;
  ids[at] = id;
}

function keepAll(vocabSize: number, tokens: number): Keeper {
  const logits = new Float32Array(tokens * vocabSize);
  return {
    add(kernels, { y, stride, first, rows }) {
      for (let token = 0; token < tokens; token++) {
        logits.set(kernels.floats(y + token * stride, rows), token * vocabSize + first);
      }
    },
    records({ nll }, chunks, kernels) {
      const scored = tokens / chunks;
      const mark = kernels.mark();
      const x = kernels.reserve(vocabSize * 4);
      const y = kernels.reserve(vocabSize * 2);
      const records = Array.from({ length: chunks }, (_, chunk) => {
        const halves = new Uint8Array(scored * vocabSize * 2);
        for (let row = 0; row < scored; row++) {
          const own = logits.subarray((chunk * scored + row) * vocabSize).subarray(0, vocabSize);
          const largest = own.reduce((a, b) => Math.max(a, b));
          // f16 is finest near 0, and the likeliest tokens matter most.
          kernels.floats(x, vocabSize).set(own.map((logit) => logit - largest));
          kernels.fromF32("F16", x, y, vocabSize);
          halves.set(kernels.bytes(y, vocabSize * 2), row * vocabSize * 2);
        }
        return encodeFullRecord({ nll: nll.subarray(chunk * scored, (chunk + 1) * scored), logits: halves });
      });
      kernels.reset(mark);
      return records;
    },
  };
}
