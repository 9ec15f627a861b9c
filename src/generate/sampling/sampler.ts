import { randomBytes } from "node:crypto";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { Pcg32 } from "../../pcg32.js";
import { Candidates } from "./candidates.js";
import { likeliest } from "./distribution.js";

export interface SamplerOptions {
  /** 0 takes the likeliest token, of equals the one of lowest id. Default: 0. */
  readonly temperature?: number | undefined;
  /** Leaves the k likeliest tokens; 0: all. Default: 0. */
  readonly topK?: number | undefined;
  /** Leaves the fewest tokens that have this share of all probability. Default: 1. */
  readonly topP?: number | undefined;
  /** Leaves tokens of at least this share of the likeliest's probability. Default: 0. */
  readonly minP?: number | undefined;
  /** What the logits of tokens are divided by that came lately, prompt included. Default: 1. */
  readonly repeatPenalty?: number | undefined;
  /** How lately, in tokens; 0: never. Default: 64. */
  readonly repeatLastN?: number | undefined;
  /** A whole number of up to 64 bits. Default: one by chance. */
  readonly seed?: number | bigint | undefined;
  /** The order of the steps. Default: SAMPLING_ORDER. */
  readonly order?: readonly SamplingStep[] | undefined;
}

/** The order of llama.cpp's default chain, without the steps that are not here. */
export const SAMPLING_ORDER = ["penalties", "top_k", "top_p", "min_p", "temperature"] as const;
export type SamplingStep = (typeof SAMPLING_ORDER)[number];

const DEFAULT_LAST_N = 64;

/**
 * Chooses next tokens: penalties, then top-k, top-p, min-p, then temperature, each over what the one before has left;
 * from what is left one is drawn. In f64. The same logits, options and seed give the same tokens, wherever they run.
 */
export class Sampler {
  readonly seed: bigint;
  readonly #options: SamplerOptions;
  readonly #random: Pcg32;
  #candidates: Candidates | undefined;

  /**
   * @param stream tells sequences apart that are sampled with one seed
   * @throws LlqError `usage` for options out of range
   */
  constructor(options: SamplerOptions = {}, stream = 0) {
    checkSampler(options);
    this.#options = options;
    this.seed = options.seed === undefined ? BigInt(randomBytes(4).readUInt32LE()) : BigInt(options.seed);
    this.#random = new Pcg32(this.seed, BigInt(stream));
  }

  /**
   * @param past tokens so far, the prompt's included
   * @throws LlqError `bad-input` for logits that are no numbers
   */
  sample(logits: Float32Array, past: readonly number[]): number {
    const { temperature = 0, repeatPenalty = 1 } = this.#options;
    if (temperature === 0 && repeatPenalty === 1) return likeliest(logits);
    const candidates = this.candidates(logits, past);
    return temperature > 0 ? candidates.draw(this.#random.fraction()) : candidates.best();
  }

  /** What the next token is drawn from. They are the sampler's own, until the next call. */
  candidates(logits: Float32Array, past: readonly number[]): Candidates {
    likeliest(logits); // refuses what are no numbers
    this.#candidates ??= new Candidates(logits.length);
    this.#candidates.reset(logits);
    for (const step of this.#options.order ?? SAMPLING_ORDER) this.#take(step, this.#candidates, past);
    return this.#candidates;
  }

  #take(step: SamplingStep, candidates: Candidates, past: readonly number[]): void {
    const { temperature = 0, topK = 0, topP = 1, minP = 0 } = this.#options;
    const { repeatPenalty = 1, repeatLastN = DEFAULT_LAST_N } = this.#options;
    if (step === "penalties") {
      if (repeatPenalty === 1 || repeatLastN === 0) return;
      candidates.penalize(new Set(past.slice(-repeatLastN)), repeatPenalty);
    } else if (temperature === 0) {
      return; // no filter removes the likeliest
    } else if (step === "top_k") {
      if (topK > 0) candidates.keepTop(topK);
    } else if (step === "top_p") {
      if (topP < 1) candidates.keepMass(topP);
    } else if (step === "min_p") {
      if (minP > 0) candidates.keepNear(minP);
    } else candidates.soften(temperature);
  }
}

/** @throws LlqError `usage` for options out of range */
function checkSampler({
  temperature,
  topK,
  topP,
  minP,
  repeatPenalty,
  repeatLastN,
  seed,
}: SamplerOptions): void {
  const rules: [
    name: string,
    value: number | undefined,
    isRight: (value: number) => boolean,
    wanted: string,
  ][] = [
    ["temperature", temperature, (x) => x >= 0, t`at least 0`],
    ["topK", topK, (x) => Number.isSafeInteger(x) && x >= 0, t`a whole number of at least 0`],
    ["topP", topP, (x) => x > 0 && x <= 1, t`above 0 and up to 1`],
    ["minP", minP, (x) => x >= 0 && x <= 1, "0 to 1"],
    ["repeatPenalty", repeatPenalty, (x) => x > 0, "above 0"],
    ["repeatLastN", repeatLastN, (x) => Number.isSafeInteger(x) && x >= 0, t`a whole number of at least 0`],
    [
      "seed",
      typeof seed === "bigint" ? 0 : seed,
      (x) => Number.isSafeInteger(x) && x >= 0,
      t`a whole number of at least 0`,
    ],
  ];
  for (const [name, value, isRight, wanted] of rules) {
    if (value === undefined || (Number.isFinite(value) && isRight(value))) continue;
    throw new LlqError("usage", t`${name} is ${value}, and must be ${wanted}`);
  }
  if (typeof seed === "bigint" && BigInt.asUintN(64, seed) !== seed)
    throw new LlqError("usage", t`seed has more than 64 bits, or a sign`);
}
