import type { HParams } from "../../arch/hparams.js";

/** What RoPE depends on, beside the positions. */
export type RopeParameters = Pick<
  HParams,
  "ropeDimensionCount" | "ropeFreqBase" | "ropeScaling" | "ropeAttnFactor" | "ropeOriginalContext"
>;

/**
 * Cosine and sine of each position's and pair's angle: [positions][pairs][2]. Computed in f64, kept in f32.
 * The angle of pair i at position p is p × base^(-2i/d) / divisor[i], stretched as the scaling says.
 * @param divisors of each pair's frequency (the tensors rope_freqs and rope_factors), if the model has them
 */
export function ropeTable(
  parameters: RopeParameters,
  positions: number,
  divisors: ArrayLike<number> | undefined,
): Float32Array<SharedArrayBuffer> {
  const { ropeDimensionCount: d, ropeFreqBase: base } = parameters;
  const pairs = d / 2;
  const magnitude = ropeMagnitude(parameters);
  const frequencies = Array.from({ length: pairs }, (_, i) => {
    const frequency = base ** ((-2 * i) / d) / (divisors?.[i] ?? 1);
    return frequency * stretch(parameters, i);
  });
  const table = new Float32Array(new SharedArrayBuffer(positions * pairs * 8));
  for (let position = 0, at = 0; position < positions; position++) {
    for (const frequency of frequencies) {
      table[at++] = Math.cos(position * frequency) * magnitude;
      table[at++] = Math.sin(position * frequency) * magnitude;
    }
  }
  return table;
}

/** What scaling makes of the frequency of pair `i`, as a factor. */
function stretch(parameters: RopeParameters, i: number): number {
  const { ropeScaling: scaling, ropeDimensionCount: d, ropeFreqBase: base } = parameters;
  switch (scaling.type) {
    case "none":
      return 1;
    case "linear":
      return 1 / scaling.factor;
    case "yarn": {
      // Pairs that turn often within the trained context keep their frequency, those that hardly turn are
      // stretched, those between are blended ("NTK by parts", arXiv:2309.00071; rope_yarn in ggml).
      const { factor, betaFast, betaSlow } = scaling;
      const pairOf = (turns: number) =>
        (d * Math.log(parameters.ropeOriginalContext / (turns * 2 * Math.PI))) / (2 * Math.log(base));
      const low = Math.max(0, Math.floor(pairOf(betaFast)));
      const high = Math.min(d - 1, Math.ceil(pairOf(betaSlow)));
      const stretched = Math.min(1, Math.max(0, (i - low) / Math.max(0.001, high - low)));
      return stretched / factor + (1 - stretched);
    }
  }
}

/** Stretched RoPE sharpens attention by making cosine and sine longer. */
function ropeMagnitude({ ropeScaling, ropeAttnFactor }: RopeParameters): number {
  return ropeAttnFactor * (ropeScaling.type === "yarn" ? 1 + 0.1 * Math.log(ropeScaling.factor) : 1);
}
