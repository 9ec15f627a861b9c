import type { HParams } from "./hparams.js";
import type { Gating } from "./numbers/experts.js";

// What the evaluator has to know of a decoder beyond its numbers and which tensors there are: biases, norms before or
// after, norms of queries, keys and attention's output, gates, sinks, experts, learned positions and fused matrices show in
// the tensors, and that values are the keys shows in none being there for them. All of it
// is plain data, and a layer's own: a family says which layer gets what.

export type NormKind = "rms" | "layer";

/** By the names of the kernels; one that has parameters of the model is an object. */
export type Activation = "silu" | "gelu_tanh" | "gelu_erf" | "relu_squared" | ParametricActivation;

/**
 * `clamped_swiglu` [alpha, limit]: min(g, limit) σ(alpha min(g, limit)) (clamp(u, ±limit) + 1), of gate g and up u.
 * `xielu` [alphaP, alphaN, beta, eps], without a gate: alphaP x² + beta x above 0, and below
 * alphaN (expm1(min(x, eps)) - x) + beta x.
 */
export interface ParametricActivation {
  readonly kind: "clamped_swiglu" | "xielu";
  readonly parameters: readonly number[];
}

export interface DecoderTraits {
  readonly norm: NormKind;
  /** Layers and the output have norms that multiply by nothing, which no tensor shows. */
  readonly bareNorms?: boolean;
  /** One for each layer. */
  readonly layers: readonly LayerTraits[];
  /** What the embeddings are multiplied by. */
  readonly embeddingScale?: number;
  /** What logits are multiplied by. */
  readonly logitScale?: number | undefined;
  readonly logitSoftcap?: number | undefined;
}

export interface LayerTraits {
  readonly mixer: MixerTraits;
  readonly feedForward?: FeedForwardTraits;
  /** Mixer and feed-forward both see what the layer begins with. */
  readonly parallel?: boolean;
  /** Of several hidden states, the one that goes through the layer. */
  readonly activeStream?: number;
  /** Of what the layer knows of tokens themselves, where models have that. */
  readonly inputActivation?: "silu" | "gelu_tanh" | "gelu_erf";
  /** Default: x += f(norm(x)). */
  readonly residual?: Residual;
}

/** What lets a token see those before it, by its kind: a row of src/net/mixers. */
export interface MixerTraits {
  readonly kind: string;
}

/** Several, which all see what the layer begins with; what they give is added up. */
export interface SideBySideTraits extends MixerTraits {
  readonly kind: "side-by-side";
  readonly mixers: readonly MixerTraits[];
}

/** The mixers of a layer, each for itself. */
export function mixersOf({ mixer }: Pick<LayerTraits, "mixer">): readonly MixerTraits[] {
  return mixer.kind === "side-by-side" ? (mixer as SideBySideTraits).mixers : [mixer];
}

export interface Mamba2Traits extends MixerTraits {
  readonly kind: "mamba2";
  /** The scan's output is normed, and then gated; default: the other way round. */
  readonly normsBeforeGate?: boolean;
}

export interface MambaTraits extends MixerTraits {
  readonly kind: "mamba";
  /** The epsilon of RMS norms without weights of the step, B and C; undefined: there are none but those with weights. */
  readonly stepEpsilon?: number | undefined;
}

export interface FeedForwardTraits {
  readonly activation: Activation;
  /** See MlpPlan (src/net/plan/types.ts). */
  readonly sparsity?: number | undefined;
  /** How tokens come to experts, where there are any; default: softmax over all of them. */
  readonly router?: RouterTraits;
}

/** Which experts a token goes through, and with what weights. */
export interface RouterTraits {
  /**
   * What makes scores of logits; the highest, with the selection bias if there is one, are chosen, and their scores
   * without it are the weights. `softmaxOfChosen`: the logits are the scores, and weights softmax over the chosen.
   * `sparsemixer`: one expert after the other is the best of the rest, with the share that it has by softmax among those
   * within 2 × jitter of it (arXiv:2409.12136 without its drawing of lots).
   */
  readonly gating: Gating | "sparsemixer";
  /** Weights are divided by their sum. */
  readonly normalize?: boolean;
  /** What weights are multiplied by, after that. */
  readonly scale?: number | undefined;
  /** Experts are chosen of those groups only that score best. */
  readonly groups?: ExpertGroups | undefined;
  /** A weight multiplies what goes into an expert, not what comes out. */
  readonly weighsInput?: boolean;
  readonly jitter?: number | undefined;
  /** What goes into a router that has a norm of its own is multiplied by this, behind the norm. */
  readonly inputScale?: number;
  /** What the shared expert's output is multiplied by. */
  readonly sharedScale?: number;
}

export interface ExpertGroups {
  readonly count: number;
  readonly used: number;
  /** A group's score: the sum of its two largest scores (selection bias included), or its largest. */
  readonly score: "twoLargest" | "largest";
}

/**
 * What f's output is added to: the layer's input, x += scale f(norm(x)), by default with a scale of 1; or that normalized,
 * x = scale norm(x) + f(norm(x)).
 */
export type Residual =
  | { readonly of: "input"; readonly scale?: number | undefined }
  | { readonly of: "normed"; readonly scale: number };

export interface AttentionTraits extends MixerTraits {
  readonly kind: "attention";
  /** How queries and keys learn where they are; absent where it is learned, or by ALiBi, or not at all. */
  readonly rope?: RopeTraits | undefined;
  /** ALiBi's largest slope is 2^(-maxBias / heads). */
  readonly alibiMaxBias?: number;
  /** Tokens a query sees, itself included; absent or undefined: all. */
  readonly window?: number | undefined;
  /** Windows begin at multiples of their length instead: a query sees what is between the last one and itself. */
  readonly chunked?: boolean;
  /** What q · k is multiplied by; default 1 / √(head width). */
  readonly scale?: number;
  /** Scores s become cap × tanh(s / cap). */
  readonly softcap?: number | undefined;
  /** Queries, keys and values stay between -clamp and clamp. */
  readonly clampQkv?: number | undefined;
  /** They do so after norms; default: before. */
  readonly clampsNormed?: boolean;
  /** Of queries and keys are normed what RoPE has turned; default: what it is going to turn. */
  readonly normsAfterRope?: boolean;
  /** What is normed, head by head, without a weight: x / √(mean(x²) + ε). */
  readonly bareNorms?: readonly ("q" | "k" | "v")[];
  /** Rows of attn_q are, head by head, those of the query and then those of a gate for attention's output. */
  readonly queryGate?: boolean;
  /** What is made of gates before attention's output is multiplied by them; default: sigmoid. */
  readonly gating?: "sigmoid" | "softplus";
  readonly temperature?: Temperature | undefined;
  /** What values are multiplied by. */
  readonly valueScale?: number | undefined;
}

/** Queries at position p are multiplied by 1 + scale × ln(1 + ⌊(p + offset) / length⌋). */
export interface Temperature {
  readonly scale: number;
  readonly length: number;
  readonly offset: number;
}

/**
 * Which dimensions of a head make a pair: neighbours 2i and 2i + 1, or halves i and i + d/2; or halves of both halves of a
 * head, the first for the place in a prefix, the second for that behind it.
 */
export type RopePairs = "neighbours" | "halves" | "prefixAndRest";

export interface RopeTraits {
  readonly pairs: RopePairs;
  /** A base of the layer's own, in place of the model's. */
  readonly base?: number | undefined;
  /** Without the model's scaling and divisors; default: where the base is the layer's own. */
  readonly plain?: boolean;
  /** Of two sets of divisors, that for contexts up to the original one, however long the text. */
  readonly shortDivisors?: boolean;
  /** Leading dimensions of a head that are turned; default: as many as the model's numbers say of the layer. */
  readonly dimensionCount?: number;
}

/** Attention to a latent that keys and values are made of, which RoPE's part of a key stands beside. */
export interface LatentTraits extends MixerTraits {
  readonly kind: "latent";
  /** Absent where keys have such a part, and RoPE does not turn it. */
  readonly rope?: RopeTraits | undefined;
  /** What q · k is multiplied by; default 1 / √(head width). */
  readonly scale?: number;
  readonly temperature?: Temperature | undefined;
  /** Of the norms of what queries, keys and values are made of; default: the model's. */
  readonly epsilon?: number;
  /** Tokens that a text may have: beyond, an index chooses the keys that a query sees. */
  readonly most?: number | undefined;
}

/** The same with keys and values made of the latent for every head. */
export type ExpandedLatentTraits = Omit<LatentTraits, "kind"> & { readonly kind: "latent-expanded" };

/** A gated delta net; its numbers are those of state spaces. */
export interface DeltaNetTraits extends MixerTraits {
  readonly kind: "delta-net";
  /** Of which key head a value head takes queries and keys: its number modulo theirs, or neighbours of the same. */
  readonly keyOf: "tiled" | "grouped";
}

/** Attention with these traits. */
export function attention(traits: Omit<AttentionTraits, "kind">): AttentionTraits {
  return { kind: "attention", ...traits };
}

/** What is said of each layer. */
export function perLayer<T>({ blockCount }: Pick<HParams, "blockCount">, say: (layer: number) => T): T[] {
  return Array.from({ length: blockCount }, (_, layer) => say(layer));
}

/** As many layers as the model has, all alike. */
export function allLayers(hparams: Pick<HParams, "blockCount">, layer: LayerTraits): LayerTraits[] {
  return perLayer(hparams, () => layer);
}

/** Decoders with RMS norms whose layers differ in their attention. */
export function decoderOf(
  hparams: Pick<HParams, "blockCount">,
  mixer: (layer: number) => MixerTraits,
  feedForward: FeedForwardTraits = { activation: "silu" },
): DecoderTraits {
  return { norm: "rms", layers: perLayer(hparams, (layer) => ({ mixer: mixer(layer), feedForward })) };
}

/** Decoders of the Llama kind: RMS norms, and in every layer attention with RoPE and a feed-forward with SiLU. */
export function llamaKind(
  hparams: Pick<HParams, "blockCount">,
  pairs: RopePairs,
  { window, router }: Pick<AttentionTraits, "window"> & Pick<FeedForwardTraits, "router"> = {},
): DecoderTraits {
  const mixer = attention({ rope: { pairs }, window });
  const feedForward = { activation: "silu", ...(router && { router }) } as const;
  return { norm: "rms", layers: allLayers(hparams, { mixer, feedForward }) };
}
