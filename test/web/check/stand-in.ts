// Plays the engine in a worker, so that every state of the page can be seen: a model of 1.2 billion weights that takes no time,
// calls that stop halfway and wait, and every problem there is.

import type {
  CallName,
  Engine,
  Fit,
  FitOptions,
  Input,
  ModelInfo,
  Output,
  PlanInfo,
  PlannedTensor,
  Problem,
  Stage,
  Watch,
} from "../../../web/src/engine/protocol.js";

/** What the stand-in is to do. */
export interface Scenario {
  /** Calls that get so far, 0 to 1, and wait there until they are stopped. */
  readonly held?: Partial<Record<CallName, number>>;
  /** Calls that fail. */
  readonly problems?: Partial<Record<CallName, Problem>>;
  readonly model?: Partial<ModelInfo>;
  readonly wrong?: boolean;
}

const LAYERS = 16;

/** Names, shapes and llama.cpp's types of Llama-3.2-1B. */
const SHAPES: readonly (readonly [name: string, group: PlannedTensor["group"], shape: readonly number[]])[] =
  [
    ["attn_norm.weight", "norms", [2048]],
    ["attn_q.weight", "attention", [2048, 2048]],
    ["attn_k.weight", "attention", [2048, 512]],
    ["attn_v.weight", "attention", [2048, 512]],
    ["attn_output.weight", "attention", [2048, 2048]],
    ["ffn_norm.weight", "norms", [2048]],
    ["ffn_gate.weight", "feedForward", [2048, 8192]],
    ["ffn_up.weight", "feedForward", [2048, 8192]],
    ["ffn_down.weight", "feedForward", [8192, 2048]],
  ];

const BITS: Readonly<Record<string, number>> = {
  F32: 32,
  BF16: 16,
  Q8_0: 8.5,
  Q6_K: 6.5625,
  Q5_K: 5.5,
  Q4_K: 4.5,
  Q3_K: 3.4375,
  Q2_K: 2.625,
  IQ4_XS: 4.25,
};

const RECIPES: readonly (readonly [name: string, bits: number])[] = [
  ["BF16", 16],
  ["Q8_0", 8.5],
  ["Q6_K", 6.56],
  ["Q5_K_M", 5.85],
  ["Q5_K_S", 5.72],
  ["Q4_K_M", 5.18],
  ["Q4_K_S", 4.98],
  ["IQ4_XS", 4.75],
  ["Q3_K_L", 4.61],
  ["Q3_K_M", 4.32],
  ["Q3_K_S", 4.02],
  ["Q2_K", 3.67],
];

const PARAMETERS = 1_235_814_400;

const MODEL: ModelInfo = {
  name: "Llama-3.2-1B",
  architecture: "llama",
  format: "safetensors",
  parameters: PARAMETERS,
  layers: LAYERS,
  contextLength: 131072,
  vocabulary: 128256,
  types: ["BF16"],
  byteLength: 2 * PARAMETERS,
  toFetch: 0,
};

function fitOf({ memory, context = 4096 }: FitOptions): Fit {
  const beside = 65536 * context * (LAYERS / 32) + 300e6;
  const rows = RECIPES.map(([recipe, bitsPerWeight]) => {
    const weightBytes = (PARAMETERS * bitsPerWeight) / 8;
    const totalBytes = weightBytes + beside;
    return {
      recipe,
      bitsPerWeight,
      weightBytes,
      totalBytes,
      fits: totalBytes <= memory,
      largestContext: 4096,
    };
  });
  return { context, rows, suggested: rows.find(({ fits }) => fits)?.recipe };
}

function plan(recipe: string): PlanInfo {
  const base = recipe.replace(/_[SML]$/, "");
  const tensors: PlannedTensor[] = [];
  const add = (name: string, group: PlannedTensor["group"], shape: readonly number[], to: string) => {
    const count = shape.reduce((product, n) => product * n, 1);
    const bytesAfter = (count * (BITS[to] ?? 4)) / 8;
    tensors.push({ name, group, shape, from: "BF16", to, bytesBefore: count * 2, bytesAfter });
  };
  add("token_embd.weight", "embedding", [2048, 128256], base === "BF16" ? "BF16" : "Q6_K");
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const [name, group, shape] of SHAPES) {
      const isBetter = /attn_v|ffn_down/.test(name) && layer % 3 === 0 && base !== "BF16";
      add(`blk.${layer}.${name}`, group, shape, shape.length === 1 ? "F32" : isBetter ? "Q6_K" : base);
    }
  }
  add("output_norm.weight", "norms", [2048], "F32");
  const bytes = tensors.reduce((sum, { bytesAfter }) => sum + bytesAfter, 0);
  const remarks = ["rope_freqs.weight is made of rope_scaling in config.json"];
  return { recipe, byteLength: bytes + 7_831_552, bitsPerWeight: (8 * bytes) / PARAMETERS, tensors, remarks };
}

const STAGES: Partial<Record<CallName, readonly Stage[]>> = {
  open: ["read"],
  quantize: ["quantize", "hash"],
  verify: ["verify"],
  measure: ["measure"],
};

export class StandIn implements Engine {
  readonly #scenario: Scenario;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  async call<K extends CallName>(name: K, input: Input<K>, watch: Watch = {}): Promise<Output<K>> {
    await this.#work(name, watch);
    const problem = this.#scenario.problems?.[name];
    if (problem !== undefined) throw problem;
    return this.#answer(name, input) as Output<K>;
  }

  async #work(name: CallName, { onProgress, signal }: Watch): Promise<void> {
    const held = this.#scenario.held?.[name];
    for (const stage of STAGES[name] ?? []) {
      const total = stage === "hash" ? 799e6 : PARAMETERS;
      const steps = 6;
      for (let step = 0; step <= steps; step++) {
        const share = (held ?? 1) * (step / steps);
        onProgress?.({ stage, done: Math.round(share * total), total });
        // Those that are held take long enough for their end to be guessed.
        await new Promise((done) => setTimeout(done, held === undefined ? 5 : 400));
      }
      if (held !== undefined) {
        await new Promise((_, fail) => {
          if (signal?.aborted) fail(new Error("stopped"));
          signal?.addEventListener("abort", () => fail(new Error("stopped")));
        });
      }
    }
  }

  #answer(name: CallName, input: unknown): unknown {
    switch (name) {
      case "open": {
        const source = input as Input<"open">;
        const isHub = source.kind === "hub";
        const own = isHub ? { name: source.reference, toFetch: MODEL.byteLength } : {};
        return { ...MODEL, ...own, ...this.#scenario.model };
      }
      case "fit":
        return fitOf(input as FitOptions);
      case "plan":
        return plan((input as Input<"plan">).recipe);
      case "quantize": {
        const options = input as Input<"quantize">;
        const { byteLength } = plan(options.recipe);
        const sha256 = "9f2c41d07ab8e6537c1d0f4be29a8b7763e5d4c2b1a09f8e7d6c5b4a39281706";
        const file = new File(["GGUF"], options.name);
        return { name: options.name, byteLength, sha256, seconds: 48.2, file };
      }
      case "verify": {
        const faults = ["the scales of row 7 are not what the source gives"];
        const wrong = this.#scenario.wrong ? [{ name: "blk.3.ffn_down.weight", faults }] : [];
        return { tensors: 146, wrong };
      }
      case "measure":
        return {
          tokens: 5120,
          chunks: 10,
          context: 512,
          before: { value: 13.412, error: 0.281 },
          after: { value: 13.874, error: 0.292 },
          divergence: { value: 0.0391, error: 0.0012 },
          sameTop: { value: 0.9127, error: 0.004 },
          seconds: 93,
        };
      case "discard":
        return undefined;
    }
  }
}
