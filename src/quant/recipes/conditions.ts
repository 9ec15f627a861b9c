/** What the choice of types may know of the model. */
export interface ModelFacts {
  /** general.architecture */
  readonly architecture: string;
  readonly layers: number;
  /** Query heads that share a key/value head. */
  readonly gqa: number;
  /** Experts of a layer; 0 without. */
  readonly experts: number;
  /** The quantization is guided by an importance matrix. */
  readonly imatrix: boolean;
  /** The model comes from a GGUF file. */
  readonly isGguf: boolean;
}

/** What a rule's conditions are asked about: a tensor's place in its model. */
export interface Situation extends ModelFacts {
  /** How many tensors of its kind come before it; its layer in the feed-forward of a mixture of experts. */
  readonly i: number;
  /** How many tensors of its kind there are; the number of layers for feed-forwards. */
  readonly n: number;
  /** How many tensors of its kind come before it, of feed-forwards too. */
  readonly rank: number;
  readonly rowLength: number;
  /** The matrices of several experts in one tensor. */
  readonly stacked: boolean;
}

/** Layers (of each architecture) of the models that llama.cpp calls 70B. */
const LAYERS_OF_70B: Readonly<Record<string, number>> = {
  llama: 80,
  qwen2: 80,
  deci: 80,
  olmo: 80,
  jais2: 68,
};

/** llama.cpp's use_more_bits: the first and the last eighth, and every third between. */
export function useMoreBits({ i, n }: Pick<Situation, "i" | "n">): boolean {
  const eighth = Math.floor(n / 8);
  return i < eighth || i >= Math.floor((7 * n) / 8) || (i - eighth) % 3 === 2;
}

/** Everything a rule can depend on. Integer divisions are llama.cpp's: they decide where an eighth ends. */
export const CONDITIONS = {
  firstTwo: ({ i }) => i < 2,
  firstFour: ({ i }) => i < 4,
  firstSixteenth: ({ i, n }) => i < Math.floor(n / 16),
  firstEighth: ({ i, n }) => i < Math.floor(n / 8),
  /** Of experts the first tensors, not the first layers. */
  firstEighthOfAll: ({ rank, layers }) => rank < Math.floor(layers / 8),
  midThreeQuarters: ({ i, n }) => i >= Math.floor(n / 8) && i < Math.floor((7 * n) / 8),
  useMoreBits,
  /** A row is no whole number of super-blocks. */
  noSuperBlocks: ({ rowLength }) => rowLength % 256 !== 0,
  /** attn_v is a quarter of attn_q or less: more bits cost little. */
  gqa4: ({ gqa }) => gqa >= 4,
  /** The first Llama's 65B has as many layers, but shares no heads: it is none. */
  is70B: ({ architecture, layers, gqa }) =>
    LAYERS_OF_70B[architecture] === layers && (architecture !== "llama" || gqa > 1),
  /** Mixtral's layout, where attention is a small part of the whole. */
  eightExperts: ({ experts }) => experts === 8,
  fourExperts: ({ experts }) => experts >= 4,
  notStacked: ({ stacked }) => !stacked,
  imatrix: ({ imatrix }) => imatrix,
  noImatrix: ({ imatrix }) => !imatrix,
  falcon: ({ architecture }) => architecture === "falcon",
  notFalcon: ({ architecture }) => architecture !== "falcon",
} as const satisfies Record<string, (situation: Situation) => boolean>;

export type Condition = keyof typeof CONDITIONS;
