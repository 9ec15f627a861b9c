import { closeSync, openSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { DTypeName } from "../../../formats/dtype.js";
import { compileKernels } from "../../kernels/kernels.js";
import type { Model } from "../../model.js";
import { CONTEXT_STEP, type KvType } from "../../quant/fit/memory.js";
import type { WorkerModules } from "../../run/threads/messages.js";
import { WorkerPool } from "../../run/threads/pool.js";
import { rowCount } from "../../tensor.js";
import { checkPositions, ropesOf } from "../blocks.js";
import { inputsOf } from "../inputs.js";
import { type Prefix, prefixOf } from "../mixers/prefix.js";
import { planDecoder } from "../plan/decoder.js";
import type { DecoderPlan } from "../plan/types.js";
import { type Activations, DEFAULT_ACTIVATIONS } from "../products/matmul.js";
import { chooseProducts } from "../products/products.js";
import { createMeeting } from "./exchange.js";
import { type MemberCall, type MemberResult, memberJob } from "./job.js";

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
  /** Called with the layers that are loaded, and all there are to load. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Stops loading; the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Bytes that one WebAssembly memory may have. */
  readonly memoryLimit?: number | undefined;
}

const DEFAULT_CONTEXT = 4096;
const MEMORY_LIMIT = 2 ** 32 - 65536;

/** Tokens that are run through the layers together. */
export const PIECE = 512;

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
  readonly #files: number[];
  readonly #logits: SharedArrayBuffer;
  readonly #lengths: number[];
  readonly #prefixes: (Prefix | undefined)[] = [];
  #memory = 0;

  private constructor(plan: DecoderPlan, files: number[], pool: WorkerPool, options: TeamOptions) {
    const { hparams } = plan;
    this.plan = plan;
    this.context = options.context ?? Math.min(DEFAULT_CONTEXT, hparams.contextLength);
    this.sequences = options.sequences ?? 1;
    this.#files = files;
    this.#pool = pool;
    this.#logits = new SharedArrayBuffer(this.sequences * hparams.vocabSize * 4);
    this.#lengths = Array.from({ length: this.sequences }, () => 0);
  }

  /**
   * Loads a model.
   * @throws LlqError `usage` for a context beyond the positions that the model has learned, or heads that do not divide into
   * the blocks of `kvType`; `no-space` when memory is short
   */
  static async load(model: Model, options: TeamOptions = {}): Promise<Team> {
    options.signal?.throwIfAborted();
    const products = chooseProducts();
    const files = model.container.files.map((path) => openSync(path, "r"));
    const pool = new WorkerPool(options.threads ?? availableParallelism(), products);
    const team = new Team(planDecoder(model), files, pool, options);
    const stop = () => void pool.close();
    options.signal?.addEventListener("abort", stop, { once: true });
    try {
      await team.#load({ kernels: compileKernels(), products }, options);
      options.signal?.throwIfAborted();
      return team;
    } catch (error) {
      await team.close();
      throw options.signal?.aborted ? options.signal.reason : error;
    } finally {
      options.signal?.removeEventListener("abort", stop);
    }
  }

  async #load(modules: WorkerModules, options: TeamOptions): Promise<void> {
    const { plan, context, sequences } = this;
    const { hparams } = plan;
    checkPositions(plan, context);
    const threads = Math.max(1, this.#pool.threads);
    // Tokens of a prefix see each other, and so are run together.
    const batch = hparams.prefixTokens === undefined ? Math.min(PIECE, context) : context;
    const joining = {
      modules,
      meeting: createMeeting(threads, Math.max(batch, sequences) * exchangedFloats(plan)),
      plan,
      source: {
        files: this.#files,
        activations: options.activations ?? DEFAULT_ACTIVATIONS,
        types: options.types ?? new Map(),
      },
      ropes: ropesOf(plan, this.#files, context),
      states: {
        capacity: Math.ceil(context / CONTEXT_STEP) * CONTEXT_STEP,
        batch,
        kvType: options.kvType ?? "f16",
      },
      sequences,
      memoryLimit: options.memoryLimit ?? MEMORY_LIMIT,
    };
    await this.#call((thread) => ({ kind: "join", joining: { ...joining, thread } }));
    const total = plan.layers.length + 1;
    for (const layer of plan.layers.keys()) {
      await this.#call({ kind: "layer", layer });
      options.onProgress?.(layer + 1, total);
    }
    await this.#call({ kind: "head" });
    options.onProgress?.(total, total);
  }

  async #call(call: MemberCall | ((thread: number) => MemberCall)): Promise<readonly MemberResult[]> {
    const calls = Array.from({ length: Math.max(1, this.#pool.threads) }, (_, thread) => ({
      team: this.#number,
      call: typeof call === "function" ? call(thread) : call,
    }));
    const results = await this.#pool.runOnEach(memberJob, calls);
    this.#memory = results.reduce((sum, { memory }) => sum + memory, 0);
    return results;
  }

  /** Tokens of a sequence so far. */
  lengthOf(sequence: number): number {
    return this.#lengths[sequence]!;
  }

  /** Bytes of all threads' WebAssembly memories. */
  get memory(): number {
    return this.#memory;
  }

  /**
   * Lets sequences go on by their next tokens, as many of each.
   * @param tokens [sequences][count], in the vocabulary and within the context, as the caller has checked
   * @returns the logits behind the last token of each, if they are wanted
   */
  async step(
    sequences: readonly number[],
    tokens: Int32Array,
    wanted = true,
  ): Promise<Float32Array[] | undefined> {
    const { vocabSize, prefixTokens } = this.plan.hparams;
    const count = tokens.length / sequences.length;
    sequences.forEach((sequence, i) => {
      if (prefixTokens === undefined || this.lengthOf(sequence) > 0) return;
      this.#prefixes[sequence] = prefixOf(tokens.subarray(i * count, (i + 1) * count), prefixTokens);
    });
    const prefixes = prefixTokens && sequences.map((sequence) => this.#prefixes[sequence]!);
    const logits = wanted ? this.#logits : undefined;
    await this.#call({ kind: "step", step: { sequences, tokens, prefixes, logits } });
    for (const sequence of sequences) this.#lengths[sequence]! += count;
    if (!wanted) return undefined;
    return sequences.map((_, i) => new Float32Array(this.#logits, i * vocabSize * 4, vocabSize).slice());
  }

  /** Forgets a sequence's tokens from position `length` on; false where that cannot be: then it has none left. */
  async truncate(sequence: number, length: number): Promise<boolean> {
    const results = await this.#call({ kind: "truncate", sequence, length });
    const done = results.every((result) => result.done);
    this.#lengths[sequence] = done ? length : 0;
    return done;
  }

  /** Gives a sequence what another one has behind it. */
  async copy(sequence: number, from: number): Promise<void> {
    await this.#call({ kind: "copy", sequence, from });
    this.#lengths[sequence] = this.#lengths[from]!;
    this.#prefixes[sequence] = this.#prefixes[from];
  }

  /** Ends the threads and closes the files; steps that are under way are rejected. */
  async close(): Promise<void> {
    if (this.#pool.threads === 0) await this.#call({ kind: "leave" });
    await this.#pool.close();
    for (const fd of this.#files.splice(0)) closeSync(fd);
  }
}

/** Floats of a token that threads exchange at once, at most: what comes out of the matrices that share an input. */
function exchangedFloats({ layers }: DecoderPlan): number {
  const widths = layers.flatMap((layer) =>
    [...inputsOf(layer).values()].map(({ matrices, columns }) =>
      Math.max(
        columns,
        matrices.reduce((sum, { weight }) => sum + rowCount(weight), 0),
      ),
    ),
  );
  return Math.max(...widths);
}
