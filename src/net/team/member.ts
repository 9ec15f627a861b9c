import { LlqError } from "../../../formats/errors.js";
import { Kernels } from "../../kernels/kernels.js";
import { t } from "../../language/t.js";
import type { WorkerModules } from "../../run/threads/messages.js";
import { embedTokens } from "../embed.js";
import { openLogits } from "../head.js";
import { runLayer } from "../layer.js";
import { mixerOf } from "../mixers/index.js";
import type { Prefix } from "../mixers/prefix.js";
import type { MixerState } from "../mixers/state/state.js";
import { ResidentWeights, type Source } from "../products/resident.js";
import type { Batch } from "../span.js";
import { expandStreams } from "../streams.js";
import { Exchange, type Meeting, membershipOf } from "./exchange.js";
import { type Holding, planPlaces, workingBytes } from "./memory.js";
import { matricesOf, othersOf } from "./tensors.js";

/** Bytes that a WebAssembly memory can have. */
const MOST = 2 ** 32;

/** What a thread of a team is told when it joins. Plain data. */
export interface Joining extends Holding {
  readonly thread: number;
  readonly modules: WorkerModules;
  readonly meeting: Meeting;
  readonly source: Source;
  /** Of each layer; see ropesOf. */
  readonly ropes: readonly (SharedArrayBuffer | undefined)[];
}

/** The next tokens of some sequences, as many of each. Plain data. */
export interface Step {
  readonly sequences: readonly number[];
  /** [sequences][count] */
  readonly tokens: Int32Array;
  /** Tokens that all of them hold alike, from the start. */
  readonly begun: number;
  readonly prefixes: readonly Prefix[] | undefined;
  /** Where logits behind the last token of each sequence go, [sequences][vocabulary]; undefined: nobody asks. */
  readonly logits: SharedArrayBuffer | undefined;
}

/** Layers whose weights and states are in one memory. */
interface Place {
  readonly kernels: Kernels;
  readonly weights: ResidentWeights;
  /** One behind its last layer. */
  readonly end: number;
}

/**
 * A thread that goes through a model in step with others. It has its share of the rows of every matrix, and of the heads
 * or channels of every state; hidden states every thread has for itself.
 */
export class Member {
  readonly #joining: Joining;
  readonly #exchange: Exchange;
  readonly #places: readonly Place[];
  /** [layer][sequence] */
  readonly #states: MixerState[][] = [];
  /** Where the memory of each place is free once all is loaded. */
  #marks: readonly number[] = [];

  constructor(joining: Joining) {
    this.#joining = joining;
    this.#exchange = new Exchange(joining.meeting);
    this.#places = this.#openPlaces();
  }

  #openPlaces(): Place[] {
    const { modules, source } = this.#joining;
    const membership = membershipOf(this.#exchange, this.#joining);
    const open = () => new Kernels(modules.kernels, modules.products);
    const first = open();
    const working = workingBytes(this.#joining);
    return planPlaces(first, this.#joining, membership).map(({ end, weights, states }, i) => {
      const least = weights + states + working;
      if (least > MOST) {
        throw new LlqError(
          "no-space",
          t`the ${least} bytes of layer ${end - 1} do not fit a memory of 4 GiB`,
          {
            hint: t`more --threads share it; or a smaller --context, --kv-type q8_0`,
          },
        );
      }
      const kernels = i === 0 ? first : open();
      return { kernels, weights: new ResidentWeights(kernels, source, membership), end };
    });
  }

  #placeOf(layer: number): Place {
    return this.#places.find(({ end }) => layer < end)!;
  }

  /** Reads the weights of a layer and makes room for its states; in order. */
  loadLayer(layer: number): void {
    const { plan, states, sequences } = this.#joining;
    const { kernels, weights } = this.#placeOf(layer);
    const own = plan.layers[layer]!;
    if (layer === 0) {
      for (const tensor of othersOf({ norm: plan.embeddingNorm })) weights.loadFloats(tensor);
      for (const { weight } of plan.expand?.matrices ?? []) weights.loadMatrix(weight);
    }
    for (const matrix of matricesOf(own)) weights.loadMatrix(matrix);
    for (const tensor of othersOf(own)) weights.loadFloats(tensor);
    const { stateOf } = own.mixer.plan;
    if (stateOf !== undefined) {
      this.#states[layer] = this.#states[stateOf]!;
      return;
    }
    const mixer = mixerOf(own.mixer.plan);
    this.#states[layer] = Array.from({ length: sequences }, () =>
      mixer.createState(kernels, own.mixer.plan, weights, states),
    );
  }

  /** Reads what comes behind the layers. After that steps may be run. */
  loadHead(): void {
    const { output, output_norm, outputBias, merge } = this.#joining.plan.head;
    const { weights } = this.#places.at(-1)!;
    for (const { weight } of merge?.matrices ?? []) weights.loadMatrix(weight);
    weights.loadMatrix(output);
    for (const tensor of othersOf({ output_norm, outputBias })) weights.loadFloats(tensor);
    this.#marks = this.#places.map(({ kernels }) => kernels.mark());
  }

  /** Runs the next tokens through all layers. @throws Deserted when another thread has failed */
  step({ sequences, tokens, begun, prefixes, logits }: Step): void {
    try {
      const { plan, source, ropes } = this.#joining;
      const starts = sequences.map((sequence) => this.#states[0]![sequence]!.length);
      const context = tokens.length / sequences.length;
      const { embeddingLength: width } = plan.hparams;
      const batch = { chunks: sequences.length, context, width, starts, begun, prefixes, tokens };
      let { kernels } = this.#places[0]!;
      this.#places.forEach((place, i) => {
        place.kernels.reset(this.#marks[i]!);
      });
      let states = this.#begin(batch, tokens);
      for (const [i, layer] of plan.layers.entries()) {
        const place = this.#placeOf(i);
        states = states.map((x) => carry(kernels, place.kernels, x, tokens.length * width));
        kernels = place.kernels;
        const mixers = sequences.map((sequence) => this.#states[i]![sequence]!);
        const { weights } = place;
        const { activations } = source;
        const inputs = plan.layerInputs;
        const work = {
          ...{ kernels, weights, activations, batch, states: mixers, inputs },
          ...{ rope: ropes[i], squares: undefined },
        };
        runLayer(work, layer, states);
      }
      if (logits !== undefined) this.#score(kernels, states, batch, new Float32Array(logits));
    } catch (error) {
      this.#exchange.fail();
      throw error;
    }
  }

  /** The first hidden states of the tokens, in the first memory. */
  #begin(batch: Batch, tokens: Int32Array): number[] {
    const { plan, source } = this.#joining;
    const { kernels, weights } = this.#places[0]!;
    const x = embedTokens(kernels, weights, plan, batch, tokens);
    const on = { kernels, weights, activations: source.activations };
    return plan.expand === undefined ? [x] : expandStreams(on, plan.expand, x, tokens.length);
  }

  /** This thread's rows of the logits behind the last token of each sequence. */
  #score(
    from: Kernels,
    hidden: readonly number[],
    { chunks, context, width }: { chunks: number; context: number; width: number },
    logits: Float32Array,
  ): void {
    const { plan, source } = this.#joining;
    const { kernels, weights } = this.#places.at(-1)!;
    const states = hidden.map((state) => {
      const x = kernels.reserve(chunks * width * 4);
      for (let i = 0; i < chunks; i++) {
        const last = state + ((i + 1) * context - 1) * width * 4;
        kernels.floats(x + i * width * 4, width).set(from.floats(last, width));
      }
      return x;
    });
    const on = { kernels, weights, activations: source.activations };
    const { output } = plan.head;
    const open = openLogits(on, plan.head, states, chunks);
    const mark = kernels.mark();
    const { vocabSize } = plan.hparams;
    for (const [first, rows] of weights.slabs(output, chunks)) {
      const { y, stride } = open(first, rows);
      for (let i = 0; i < chunks; i++)
        logits.set(kernels.floats(y + i * stride, rows), i * vocabSize + first);
      kernels.reset(mark);
    }
  }

  /** Forgets a sequence's tokens from position `length` on. @throws RangeError where a state cannot */
  truncate(sequence: number, length: number): void {
    for (const layer of new Set(this.#states)) {
      if (!layer[sequence]!.truncate(length))
        throw new RangeError(`a state cannot go back to ${length} tokens`);
    }
  }

  /** Gives a sequence what another one has behind it. */
  copy(sequence: number, from: number): void {
    for (const layer of new Set(this.#states)) layer[sequence]!.copyFrom(layer[from]!);
  }

  /** Bytes of WebAssembly memory. */
  get memory(): number {
    return this.#places.reduce((sum, { kernels }) => sum + kernels.memory.buffer.byteLength, 0);
  }
}

/** The same floats in another memory. */
function carry(from: Kernels, to: Kernels, x: number, floats: number): number {
  if (from === to) return x;
  const copy = to.reserve(floats * 4);
  to.floats(copy, floats).set(from.floats(x, floats));
  return copy;
}
