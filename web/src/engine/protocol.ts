// What the page asks of the engine, and what comes back. All of it is plain data that can be posted between threads; nothing of
// llq's own types gets here, so that a stand-in can play the engine in tests.

/** What a model is read from. */
export type Source =
  | { readonly kind: "files"; readonly name: string; readonly files: readonly SourceFile[] }
  | { readonly kind: "hub"; readonly reference: string; readonly token: string | undefined };

export interface SourceFile {
  /** Below what was dropped or chosen, divided by slashes. */
  readonly path: string;
  readonly file: File;
}

export interface ModelInfo {
  readonly name: string;
  readonly architecture: string;
  /** `gguf`, `safetensors`, ... */
  readonly format: string;
  /** Weights in all tensors. */
  readonly parameters: number;
  readonly layers: number;
  readonly contextLength: number;
  readonly vocabulary: number;
  /** Types that the weights are stored in, the one with the most bytes first. */
  readonly types: readonly string[];
  /** Bytes of all tensors. */
  readonly byteLength: number;
  /** Bytes that are still to be fetched before the file can be made; 0 for files at hand. */
  readonly toFetch: number;
}

export interface FitOptions {
  /** Bytes that the model may take where it is to run. */
  readonly memory: number;
  /** Tokens; llq chooses if undefined. */
  readonly context: number | undefined;
}

export interface FitRow {
  readonly recipe: string;
  readonly bitsPerWeight: number;
  /** Bytes of the weights. */
  readonly weightBytes: number;
  /** Bytes of all that a running model takes. */
  readonly totalBytes: number;
  readonly fits: boolean;
  /** Tokens that fit at most; undefined if none do. */
  readonly largestContext: number | undefined;
}

export interface Fit {
  readonly context: number;
  /** The largest first; only recipes that can be made here. */
  readonly rows: readonly FitRow[];
  readonly suggested: string | undefined;
}

/** What a tensor is for, as coarse as people think of a model. */
export const GROUPS = [
  "embedding",
  "attention",
  "feedForward",
  "experts",
  "mixer",
  "norms",
  "output",
  "other",
] as const;
export type Group = (typeof GROUPS)[number];

export interface PlannedTensor {
  readonly name: string;
  readonly group: Group;
  readonly shape: readonly number[];
  readonly from: string;
  readonly to: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface PlanInfo {
  readonly recipe: string;
  /** Bytes of the whole file. */
  readonly byteLength: number;
  readonly bitsPerWeight: number;
  readonly tensors: readonly PlannedTensor[];
  /** What a user should know of how the model was read. */
  readonly remarks: readonly string[];
}

export interface QuantizeOptions {
  readonly recipe: string;
  /** The file's name. */
  readonly name: string;
  /** Threads; the engine may use fewer. */
  readonly threads: number;
}

export interface Written {
  readonly name: string;
  readonly byteLength: number;
  readonly sha256: string;
  readonly seconds: number;
  /** The file where the engine has put it: in the browser's storage, not in memory. */
  readonly file: File;
}

export interface Verified {
  readonly tensors: number;
  /** What is wrong, tensor by tensor; empty when all are right. */
  readonly wrong: readonly { readonly name: string; readonly faults: readonly string[] }[];
}

export interface MeasureOptions {
  readonly text: string;
  readonly threads: number;
}

export interface Measured {
  readonly tokens: number;
  readonly chunks: number;
  /** Tokens a chunk. */
  readonly context: number;
  readonly before: Estimate;
  readonly after: Estimate;
  /** Mean Kullback-Leibler divergence of the small model from the original, in nats a token. */
  readonly divergence: Estimate;
  /** The share of tokens of which both have the same first guess, 0 to 1. */
  readonly sameTop: Estimate;
  readonly seconds: number;
}

export interface Estimate {
  readonly value: number;
  /** Its standard error; undefined when a text is too short to tell. */
  readonly error: number | undefined;
}

/** How far something long is. */
export interface Progress {
  readonly stage: Stage;
  readonly done: number;
  readonly total: number;
}

export type Stage = "list" | "fetch" | "read" | "quantize" | "hash" | "verify" | "measure" | "save";

/** Every call: what goes in and what comes out. */
export interface Calls {
  open: { input: Source; output: ModelInfo };
  fit: { input: FitOptions; output: Fit };
  plan: { input: { readonly recipe: string }; output: PlanInfo };
  quantize: { input: QuantizeOptions; output: Written };
  verify: { input: { readonly threads: number }; output: Verified };
  measure: { input: MeasureOptions; output: Measured };
  /** Removes the written file from the browser's storage, what was fetched of the model too, or all that the page ever left. */
  discard: { input: { readonly what: "file" | "model" | "everything" }; output: undefined };
}

export type CallName = keyof Calls;
export type Input<K extends CallName> = Calls[K]["input"];
export type Output<K extends CallName> = Calls[K]["output"];

export interface Watch {
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** Does what the page asks; rejects with a Problem. */
export interface Engine {
  call<K extends CallName>(name: K, input: Input<K>, watch?: Watch): Promise<Output<K>>;
}

/** What went wrong, as far as the page treats it differently. */
export type ProblemKind =
  | "usage"
  | "bad-input"
  | "unsupported"
  | "no-space"
  | "quota"
  | "network"
  | "busy"
  | "storage"
  | "cancelled"
  | "crashed"
  | "unexpected";

/** Sentences of the page's that may stand before a problem's own words. */
export const PAGE_TEXTS = [
  "nothingDropped",
  "hubUnreachable",
  "hubTooOften",
  "hubLocked",
  "hubBadToken",
  "hubRefused",
  "hubMissing",
  "hubNonsense",
  "hubWrongBytes",
  "hubSeveral",
  "hubNoModel",
] as const;
export type PageText = (typeof PAGE_TEXTS)[number];

export interface Problem {
  readonly kind: ProblemKind;
  /** What is wrong, in the page's words. */
  readonly said?: PageText | undefined;
  /** What is wrong, in llq's words, or where. */
  readonly message: string;
  /** What to do about it, in llq's words. */
  readonly hint?: string | undefined;
  /** Bytes that it takes, and that there are. */
  readonly needed?: number | undefined;
  readonly available?: number | undefined;
}

export type Request =
  | {
      readonly [K in CallName]: { readonly id: number; readonly call: K; readonly input: Input<K> };
    }[CallName]
  | { readonly id: number; readonly cancel: true }
  | { readonly language: string };

export type Reply =
  | { readonly id: number; readonly progress: Progress }
  | { readonly id: number; readonly output: unknown }
  | { readonly id: number; readonly problem: Problem };
