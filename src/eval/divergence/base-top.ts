import type { Kernels } from "../../kernels/kernels.js";
import { WeightedVariance } from "../perplexity/statistics.js";
import { readTopRecord, type TopBaseline } from "./baseline-record.js";
import type { Comparison, Targets } from "./comparison.js";
import { sameTops, startTops } from "./tops.js";

/** Probabilities of the tail below this are what rounding leaves of 1 less a sum. */
const MIN_TAIL = 1e-7;

/**
 * Compares with a base of which only the likeliest tokens are known. With the others as one token,
 *   KLD = Σ p ln(p / q) + tail ln(tail / tail of q)        over the tokens that are known
 * and telling them apart adds the tail's own divergence, which is to second order  tail · ½ Var ln(p / q)  over the
 * tail. The less likely half of the known tokens are its neighbours: their variance, by p, stands for it. How near
 * that comes is in test/golden/README.md.
 */
export function compareTop(
  kernels: Kernels,
  base: TopBaseline,
  scored: number,
  { values }: Targets,
): Comparison {
  const { k } = base;
  const tokens = values.length;
  const chunks = base.records.map((_, i) => readTopRecord(base, i, scored));
  const ids = Uint32Array.from(chunks.flatMap((chunk) => [...chunk.ids]));
  /** Places in `ids`, in the order of the vocabulary. */
  const order = Uint32Array.from(ids, (_, i) => i).sort((a, b) => ids[a]! - ids[b]!);
  /** The model's logits of the same tokens; what the vocabulary does not have stays no number. */
  const logits = new Float32Array(ids.length).fill(Number.NaN);
  const tops = startTops(kernels, tokens);
  let next = 0;
  return {
    add(slab) {
      tops.add(slab);
      const { y, stride, first, rows } = slab;
      const floats = kernels.floats(y, (tokens * stride) / 4);
      for (; next < order.length && ids[order[next]!]! < first + rows; next++) {
        const place = order[next]!;
        logits[place] = floats[(Math.floor(place / k) * stride) / 4 + ids[place]! - first]!;
      }
    },
    result({ logSum }) {
      const nll = new Float64Array(tokens);
      const kld = new Float64Array(tokens);
      for (let token = 0; token < tokens; token++) {
        const chunk = chunks[Math.floor(token / scored)]!;
        const row = token % scored;
        nll[token] = chunk.nll[row]!;
        let sum = 0;
        let known = 0;
        const neighbours = new WeightedVariance();
        for (let j = 0; j < k; j++) {
          const logProb = chunk.logProbs[row * k + j]!;
          const ownLogProb = logits[token * k + j]! - logSum[token]!;
          const prob = Math.exp(logProb);
          sum += prob * (logProb - ownLogProb);
          known += Math.exp(ownLogProb);
          if (2 * j >= k) neighbours.add(prob, logProb - ownLogProb);
        }
        const tail = Math.max(chunk.tail[row]!, MIN_TAIL);
        const asOne = tail * Math.log(tail / Math.max(1 - known, MIN_TAIL));
        kld[token] = sum + asOne + (tail * neighbours.value()) / 2;
      }
      const likeliest = Int32Array.from({ length: tokens }, (_, token) => ids[token * k]!);
      return { nll, kld, sameTop: sameTops(tops.read(), likeliest) };
    },
  };
}
