import { availableParallelism } from "#host/threads";
import { byteLength, type DTypeName } from "../../../formats/dtype.js";
import { compileKernels } from "../../kernels/kernels.js";
import type { Model } from "../../model.js";
import type { KvType } from "../../quant/fit/memory.js";
import type { Descriptors } from "../../rows/rows.js";
import type { WorkerModules } from "../../run/threads/messages.js";
import { WorkerPool } from "../../run/threads/pool.js";
import { OpenFiles } from "../../run/threads/scope.js";
import type { Tensor } from "../../tensor.js";
import { checkPositions, ropesOf } from "../blocks.js";
import { mixerOf } from "../mixers/index.js";
import type { Had, StateOptions } from "../mixers/mixer.js";
import { type Prefix, prefixOf } from "../mixers/prefix.js";
import { planDecoder } from "../plan/decoder.js";
import type { DecoderPlan, LayerPlan } from "../plan/types.js";
import { type Activations, DEFAULT_ACTIVATIONS } from "../products/matmul.js";
import { chooseProducts } from "../products/products.js";
import { joinTokens } from "../span.js";
import { Beginnings } from "./beginnings.js";
import { createMeeting } from "./exchange.js";
import { leave, type MemberCall, memberJob } from "./job.js";
import {
  DEFAULT_CONTEXT,
  exchangedFloats,
  exchangedTokens,
  logitBytes,
  MEMORY_LIMIT,
  statesFor,
} from "./memory.js";
import { matricesOf } from "./tensors.js";

export interface TeamOptions {
  /** Tokens that a sequence may have. Default: what the model was trained for, 4096 at most. */
  readonly context?: number | undefined;
  /** Sequences at once. Default: 1. */
  readonly sequences?: number | undefined;
  /** What keys and values are kept in. Default: f16. */
  readonly kvType?: KvType | undefined;
  readonly activations?: Activations | undefined;
  /** Worker threads; 0 works in this thread. Default: one a core. The result does not depend on it. */
  readonly threads?: number | undefined;
  /** Types that tensors are quantized to as they are loaded, by their names. */
  readonly types?: ReadonlyMap<string, DTypeName> | undefined;
  /** Called with the bytes of weights that are loaded, and all there are to load. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Stops loading; the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Bytes that one WebAssembly memory may have. */
  readonly memoryLimit?: number | undefined;
}

let teams = 0;

/**
 * A model that is loaded and stays: its threads go through it in step, each with its share of every matrix, and sequences
 * of tokens go on from what they left. Results are the same for every number of threads, and however tokens are cut into
 * steps.
 */
export class Team {
  readonly plan: DecoderPlan;
  /** Tokens that a sequence may have. */
  readonly context: number;
  readonly sequences: number;
  readonly #number = teams++;
  readonly #pool: WorkerPool;
  readonly #files: OpenFiles;
  readonly #logits: SharedArrayBuffer;
  readonly #had: Had[];
  readonly #states: StateOptions;
  readonly #beginnings: Beginnings;
  readonly #prefixes: (Prefix | undefined)[] = [];
  /** What threads were told without being waited for; they do it before anything that comes later. */
  #told: Promise<unknown> = Promise.resolve();
  /** The step before, well or ill: the next takes its place in the logits. */
  #stepped: Promise<unknown> = Promise.resolve();
  #memory = 0;

  private constructor(plan: DecoderPlan, files: OpenFiles, pool: WorkerPool, options: TeamOptions) {
    const { hparams } = plan;
    this.plan = plan;
    this.context = options.context ?? Math.min(DEFAULT_CONTEXT, hparams.contextLength);
    this.sequences = options.sequences ?? 1;
    this.#files = files;
    this.#pool = pool;
    this.#logits = new SharedArrayBuffer(logitBytes(plan, this.sequences));
    this.#beginnings = new Beginnings(this.sequences);
    this.#had = Array.from({ length: this.sequences }, () => ({ length: 0, most: 0 }));
    this.#states = statesFor(plan, this.context, options.kvType ?? "f16");
  }

  /**
   * Loads a model.
   * @throws LlqError `usage` for a context beyond the positions that the model has learned, or heads that do not divide into
   * the blocks of `kvType`; `no-space` when memory is short
   */
  static async load(model: Model, options: TeamOptions = {}): Promise<Team> {
    options.signal?.throwIfAborted();
    const plan = planDecoder(model);
    const products = chooseProducts("generation");
    const files = new OpenFiles();
    const pool = new WorkerPool(options.threads ?? availableParallelism(), products);
    const team = new Team(plan, files, pool, options);
    const stop = () => void pool.close();
    options.signal?.addEventListener("abort", stop, { once: true });
    try {
      const opened = files.open(model.container.files);
      await team.#load({ kernels: compileKernels(), products }, opened, options);
      files.check();
      options.signal?.throwIfAborted();
      return team;
    } catch (error) {
      await team.close();
      throw options.signal?.aborted ? options.signal.reason : error;
    } finally {
      options.signal?.removeEventListener("abort", stop);
    }
  }

  async #load(modules: WorkerModules, files: Descriptors, options: TeamOptions): Promise<void> {
    const { plan, context, sequences } = this;
    const types = options.types ?? new Map<string, DTypeName>();
    checkPositions(plan, context);
    const threads = Math.max(1, this.#pool.threads);
    const joining = {
      modules,
      meeting: createMeeting(threads, exchangedTokens(this.#states, sequences) * exchangedFloats(plan)),
      plan,
      source: {
        files,
        activations: options.activations ?? DEFAULT_ACTIVATIONS,
        types,
      },
      ropes: ropesOf(plan, files, context),
      states: this.#states,
      sequences,
      memoryLimit: options.memoryLimit ?? MEMORY_LIMIT,
    };
    await this.#call((thread) => ({ kind: "join", joining: { ...joining, thread } }));
    const sizes = plan.layers.map((layer) => bytesOf(matricesOf(layer), types));
    const head = bytesOf([plan.head.output], types);
    const total = sizes.reduce((sum, size) => sum + size, head);
    let done = 0;
    for (const [layer, size] of sizes.entries()) {
      await this.#call({ kind: "layer", layer });
      done += size;
      options.onProgress?.(done, total);
    }
    await this.#call({ kind: "head" });
    options.onProgress?.(total, total);
  }

  async #call(call: MemberCall | ((thread: number) => MemberCall)): Promise<void> {
    const calls = Array.from({ length: Math.max(1, this.#pool.threads) }, (_, thread) => ({
      team: this.#number,
      call: typeof call === "function" ? call(thread) : call,
    }));
    const results = await this.#pool.runOnEach(memberJob, calls);
    this.#memory = results.reduce<number>((sum, bytes) => {
      if (bytes === undefined) throw new Error("a thread of the model has failed before");
      return sum + bytes;
    }, 0);
  }

  /** Does not wait; where it fails, so does the next step. */
  #tell(call: MemberCall): void {
    this.#told = Promise.all([this.#told, this.#call(call)]);
    this.#told.catch(() => {});
  }

  /** Tokens of a sequence that are run through the layers together, at most. */
  get piece(): number {
    return this.#states.batch;
  }

  /** Tokens of a sequence so far. */
  lengthOf(sequence: number): number {
    return this.#had[sequence]!.length;
  }

  /** Bytes of all threads' WebAssembly memories. */
  get memory(): number {
    return this.#memory;
  }

  /**
   * Lets sequences go on by their next tokens, as many of each. One step waits for the other.
   * @param tokens [sequences][count]
   * @returns the logits behind the last token of each
   * @throws RangeError for tokens outside the vocabulary, more than the context, or one sequence twice
   */
  step(sequences: readonly number[], tokens: Int32Array): Promise<Float32Array[]> {
    const step = this.#stepped.then(() => this.#step(sequences, tokens));
    this.#stepped = step.catch(() => {});
    return step;
  }

  async #step(sequences: readonly number[], tokens: Int32Array): Promise<Float32Array[]> {
    const { vocabSize } = this.plan.hparams;
    const count = tokens.length / sequences.length;
    this.#check(sequences, tokens, count);
    await this.#told;
    if (this.plan.hparams.prefixTokens !== undefined && sequences.length > 1 && count > 1) {
      const each: Float32Array[] = [];
      for (const [i, sequence] of sequences.entries()) {
        each.push(...(await this.#step([sequence], tokens.subarray(i * count, (i + 1) * count))));
      }
      return each;
    }
    const most = Math.max(1, Math.floor(this.#states.batch / sequences.length));
    for (let first = 0; first < count; first += most) {
      const piece = Math.min(most, count - first);
      const own = sequences.map((_, i) => tokens.subarray(i * count + first, i * count + first + piece));
      const logits = first + piece === count ? this.#logits : undefined;
      const prefixes = this.#prefixesOf(sequences, own);
      const begun = this.#beginnings.sharedBy(sequences);
      const step = { sequences, tokens: joinTokens(own), begun, prefixes, logits };
      await this.#call({ kind: "step", step });
      for (const [i, sequence] of sequences.entries()) {
        this.#beginnings.append(sequence, own[i]!);
        const length = this.lengthOf(sequence) + piece;
        this.#had[sequence] = { length, most: Math.max(length, this.#had[sequence]!.most) };
      }
    }
    return sequences.map((_, i) => new Float32Array(this.#logits, i * vocabSize * 4, vocabSize).slice());
  }

  #check(sequences: readonly number[], tokens: Int32Array, count: number): void {
    const { vocabSize } = this.plan.hparams;
    if (!Number.isInteger(count) || count === 0)
      throw new RangeError("sequences go on by as many tokens each");
    if (new Set(sequences).size < sequences.length)
      throw new RangeError("a sequence goes on twice in one step");
    const beyond = tokens.find((token) => token < 0 || token >= vocabSize);
    if (beyond !== undefined) throw new RangeError(`token ${beyond} of a vocabulary of ${vocabSize}`);
    const longest = Math.max(...sequences.map((sequence) => this.lengthOf(sequence))) + count;
    if (longest > this.context) throw new RangeError(`${longest} tokens in a context of ${this.context}`);
  }

  /** Of sequences that begin with one: their first piece says which. */
  #prefixesOf(sequences: readonly number[], own: readonly Int32Array[]): Prefix[] | undefined {
    const { prefixTokens } = this.plan.hparams;
    if (prefixTokens === undefined) return undefined;
    return sequences.map((sequence, i) => {
      if (this.lengthOf(sequence) === 0) this.#prefixes[sequence] = prefixOf(own[i]!, prefixTokens);
      return this.#prefixes[sequence]!;
    });
  }

  /** Forgets a sequence's tokens from position `length` on; false, and nothing done, where that cannot be. */
  truncate(sequence: number, length: number): boolean {
    const had = this.#had[sequence]!;
    const can = ({ mixer }: LayerPlan) =>
      mixer.plan.stateOf !== undefined ||
      mixerOf(mixer.plan).canTruncate(mixer.plan, this.#states, had, length);
    const prefix = this.#prefixes[sequence]?.length ?? 0; // tokens that see each other
    const isCut = length > 0 && (length < Math.min(prefix, had.length) || !this.plan.layers.every(can));
    if (length > had.length || isCut) return false;
    this.#had[sequence] = { length, most: length === 0 ? 0 : had.most };
    this.#beginnings.truncate(sequence, length);
    this.#tell({ kind: "truncate", sequence, length });
    return true;
  }

  /** Gives a sequence what another one has behind it. */
  copy(sequence: number, from: number): void {
    this.#had[sequence] = this.#had[from]!;
    this.#prefixes[sequence] = this.#prefixes[from];
    this.#beginnings.copy(sequence, from);
    this.#tell({ kind: "copy", sequence, from });
  }

  /** Ends the threads and closes the files; steps that are under way are rejected. */
  async close(): Promise<void> {
    await this.#pool.close();
    leave(this.#number);
    this.#files.close();
  }
}

function bytesOf(matrices: readonly Tensor[], types: ReadonlyMap<string, DTypeName>): number {
  return matrices.reduce(
    (sum, { name, dtype, shape }) => sum + byteLength(types.get(name) ?? dtype, shape),
    0,
  );
}
