import { embedChunks } from "../../../net/blocks.js";
import { spanOf } from "../../../net/group.js";
import type { DecoderPlan, HeadPlan, LayerInputs, LayerPlan } from "../../../net/plan/types.js";
import type { Session } from "../../../net/session.js";
import { hiddenBytes, type Span } from "../../../net/span.js";
import { PIECE_TOKENS } from "../../../net/work.js";
import type { Descriptors } from "../../../rows/rows.js";
import { newsOf } from "../drawn.js";
import type { Effort } from "../options.js";
import type { Scratch } from "../scratch.js";
import type { CalibrationChunks } from "../text.js";
import { captureHeadJob, captureJob, type ExpertRows, type Place, type Wanted } from "./capture.js";

/** Tokens whose activations are there at once. Fixed: sums must not depend on the memory. */
const GROUP_TOKENS = 2048;
/** One chunk in so many is kept out of the moments, to judge by. */
const HELD_EVERY = 8;
/** What a token that is drawn counts beside one of the text. */
const DRAWN_WEIGHT = 0.3;

/** Chunks that are run together. */
export interface Group {
  readonly chunks: readonly Int32Array[];
  /** The first of them, in the order of the streams. */
  readonly first: number;
  readonly tokens: number;
  /** What a token of each chunk counts. */
  readonly weights: readonly number[];
}

/** The model as it is, and as it has been rounded so far. */
export type Stream = "own" | "rounded";

/** What a stream runs a step with. */
export interface Runner {
  readonly files: Descriptors;
  readonly layer: LayerPlan;
  readonly rope: SharedArrayBuffer | undefined;
  readonly states: number;
  readonly inputs: LayerInputs | undefined;
}

/** Hidden states of all chunks in one stream or two, a group of which is in memory at a time. */
export class Streams {
  readonly streams: readonly Stream[];
  /** Those that moments are made of. */
  readonly fit: readonly Group[];
  /** Those that are kept out. */
  readonly held: Group | undefined;
  /** Tokens that moments are made of, by what they count. */
  readonly weight: number;
  /** The same of those that say something new. */
  readonly evidence: number;
  readonly width: number;
  readonly context: number;
  readonly ropes: readonly (SharedArrayBuffer | undefined)[];
  readonly groupTokens: number;
  readonly #session: Session;
  readonly #hidden: SharedArrayBuffer;
  readonly #count: number;
  /** Of a token, from layer to layer. */
  readonly #floats: number;

  constructor(
    session: Session,
    { text, drawn }: CalibrationChunks,
    ropes: readonly (SharedArrayBuffer | undefined)[],
    effort: Effort,
  ) {
    this.#session = session;
    this.ropes = ropes;
    this.#floats = session.plan.floats;
    this.width = session.plan.hparams.embeddingLength;
    this.context = text[0]!.length;
    this.streams = effort === "plain" ? ["own"] : ["own", "rounded"];
    const step = Math.max(1, Math.floor(GROUP_TOKENS / this.context));
    const ofText = Math.min(Math.floor(text.length / HELD_EVERY), step);
    const ofDrawn = Math.min(Math.floor(drawn.length / HELD_EVERY), step - ofText);
    const [ownText, ownDrawn] = [keepOut(text, ofText), keepOut(drawn, ofDrawn)];
    const fit = [...ownText.fit, ...ownDrawn.fit];
    const held = [...ownText.held, ...ownDrawn.held];
    const weightsOf = (chunks: readonly Int32Array[], texts: number) =>
      chunks.map((_, i) => (i < texts ? 1 : DRAWN_WEIGHT));
    const weights = weightsOf(fit, ownText.fit.length);
    this.#count = fit.length + held.length;
    this.fit = Array.from({ length: Math.ceil(fit.length / step) }, (_, i) => {
      const [from, to] = [i * step, (i + 1) * step];
      return this.#group(fit.slice(from, to), from, weights.slice(from, to));
    });
    this.held =
      held.length === 0 ? undefined : this.#group(held, fit.length, weightsOf(held, ownText.held.length));
    this.weight = weights.reduce((sum, weight) => sum + weight, 0) * this.context;
    const news = newsOf(fit).reduce((sum, each, i) => sum + each * weights[i]!, 0);
    this.evidence = news;
    const most = Math.max(...this.groups.map((group) => group.chunks.length));
    this.groupTokens = most * this.context;
    this.#hidden = new SharedArrayBuffer(hiddenBytes(most, this.context, this.#floats));
  }

  #group(chunks: readonly Int32Array[], first: number, weights: readonly number[]): Group {
    return { chunks, first, tokens: chunks.length * this.context, weights };
  }

  /** Bytes of the hidden states of one stream. */
  get stateBytes(): number {
    return hiddenBytes(this.#count, this.context, this.#floats);
  }

  get groups(): readonly Group[] {
    return this.held === undefined ? this.fit : [...this.fit, this.held];
  }

  /** The first hidden states, in a slot. */
  async embed(
    stream: Stream,
    slot: number,
    scratch: Scratch,
    plan: DecoderPlan,
    files: Descriptors,
  ): Promise<void> {
    for (const group of this.groups) {
      await this.#inSpans(group, (span, own) => embedChunks({ ...this.#session, plan, files }, span, own));
      scratch.writeStates(slot, this.#number(stream), this.#start(group), this.#statesOf(group));
    }
  }

  /**
   * Runs a group up to what is wanted of a layer, from the states in a slot; or, in a pass, to the layer's end, and puts the
   * states there into the other slot.
   */
  async capture(
    group: Group,
    stream: Stream,
    slot: number,
    scratch: Scratch,
    runner: Runner,
    wanted: readonly Omit<Wanted, "weights">[],
    isPass = false,
  ): Promise<ExpertRows[]> {
    this.#load(group, stream, slot, scratch);
    const { weights } = group;
    const all = wanted.map((each) => ({ ...each, weights }));
    const rows = await this.#inSpans(group, (span) =>
      this.#session.pool.run(captureJob, { ...runner, span, wanted: all, isPass }),
    );
    if (isPass) {
      scratch.writeStates(1 - slot, this.#number(stream), this.#start(group), this.#statesOf(group));
    }
    return rows.flat();
  }

  /** The same of what goes into the output matrix. */
  async captureHead(
    group: Group,
    stream: Stream,
    slot: number,
    scratch: Scratch,
    { files, head, place }: { readonly files: Descriptors; readonly head: HeadPlan; readonly place: Place },
  ): Promise<void> {
    this.#load(group, stream, slot, scratch);
    await this.#inSpans(group, (span) =>
      this.#session.pool.run(captureHeadJob, { files, span, head, place, weights: group.weights }),
    );
  }

  /** Runs all groups through a layer, from one slot into the other. */
  async pass(stream: Stream, slot: number, scratch: Scratch, runner: Runner): Promise<void> {
    for (const group of this.groups) await this.capture(group, stream, slot, scratch, runner, [], true);
  }

  #load(group: Group, stream: Stream, slot: number, scratch: Scratch): void {
    scratch.readStates(slot, this.#number(stream), this.#start(group), this.#statesOf(group));
  }

  #number(stream: Stream): number {
    return stream === "own" ? 0 : 1;
  }

  #start({ first }: Group): number {
    return hiddenBytes(first, this.context, this.#floats);
  }

  #statesOf({ chunks }: Group): Uint8Array {
    return new Uint8Array(this.#hidden, 0, hiddenBytes(chunks.length, this.context, this.#floats));
  }

  /** Nothing a chunk goes through depends on those beside it, so how they are shared out does not matter. */
  async #inSpans<T>(
    { chunks }: Group,
    run: (span: Span, own: readonly Int32Array[]) => Promise<T>,
  ): Promise<T[]> {
    const { plan, pool } = this.#session;
    const share = Math.ceil(chunks.length / Math.max(1, pool.threads));
    const step = Math.max(1, Math.min(share, Math.floor(PIECE_TOKENS / this.context)));
    const spans = Array.from({ length: Math.ceil(chunks.length / step) }, (_, i) => {
      const own = chunks.slice(i * step, (i + 1) * step);
      return run({ ...spanOf(plan, this.#hidden, own), first: i * step }, own);
    });
    return Promise.all(spans);
  }
}

/** Chunks without so many that are kept out, which lie evenly over all. */
function keepOut(
  chunks: readonly Int32Array[],
  held: number,
): { readonly fit: Int32Array[]; readonly held: Int32Array[] } {
  const isHeld = (i: number) => {
    if (held === 0) return false;
    const nth = Math.floor((i * held) / chunks.length);
    return i === Math.floor(((nth + 0.5) * chunks.length) / held);
  };
  return { fit: chunks.filter((_, i) => !isHeld(i)), held: chunks.filter((_, i) => isHeld(i)) };
}
