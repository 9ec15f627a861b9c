import type { Kernels } from "../../../kernels/kernels.js";
import { CONTEXT_STEP, KV_TYPES, type KvType, kvElementBytes } from "../../../quant/fit/memory.js";

/** What a cache keeps: keys and values of some key/value heads of one layer, for one sequence. */
export interface KvShape {
  readonly type: KvType;
  readonly heads: number;
  readonly keyLength: number;
  readonly valueLength: number;
  /** Tokens that the sequence may come to have. */
  readonly capacity: number;
  /** Tokens that a query sees, itself included; 0 for all before it. */
  readonly window: number;
  /** Most tokens that are appended at once to a ring. */
  readonly batch: number;
}

/** Cells in a panel of keys (assembly/attention/kv_cells.ts). */
const PANEL = 8;

/**
 * Tokens for which a cache has room. Of layers with a window it keeps those that a batch can still see, in a ring,
 * where that is less than all.
 */
export function kvCells({ capacity, window, batch }: KvShape): number {
  const all = Math.ceil(capacity / PANEL) * PANEL;
  if (window === 0) return all;
  return Math.min(all, Math.ceil((window + batch) / CONTEXT_STEP) * CONTEXT_STEP);
}

/**
 * Bytes of a cache, exactly.
 * @throws LlqError `usage` when heads do not divide into the type's blocks
 */
export function kvBytes(shape: KvShape): number {
  const { type, heads, keyLength, valueLength } = shape;
  return heads * kvCells(shape) * (keyLength + valueLength) * kvElementBytes(type, keyLength, valueLength);
}

/** Shared beginnings count in whole blocks of so many tokens, whose values are added up on their own (cached_attention.ts). */
const SHARED_BLOCK = 256;
/** Query heads that go through a cache together. */
const MOST_ROWS = 32;
/** Bytes of what is told of a cache: keys, values, position. */
const TABLE_ENTRY = 12;

/** How many of the tokens that several sequences begin with are read once for all of them: 0 where it does not pay. */
export function sharedCells(
  caches: readonly KvCache[],
  { group, chunked = false }: Attending,
  here: Kernels,
  begun: number,
): number {
  const canShare =
    caches.length > 1 &&
    2 * group <= MOST_ROWS &&
    !chunked &&
    caches.every(({ kernels, shape }) => kernels === here && shape.window === 0);
  return canShare ? begun - (begun % SHARED_BLOCK) : 0;
}

/** Queries of tokens, and where their outputs go. */
export interface Queries {
  /** Rows of tokens, in each heads × group × keyLength floats, positions applied. */
  readonly q: number;
  /** Bytes from one token's row to the next. */
  readonly qStride: number;
  /** Rows of tokens, in each heads × group × valueLength floats; may be q when lengths and strides are equal. */
  readonly o: number;
  readonly oStride: number;
}

/** How a layer attends. */
export interface Attending {
  /** Query heads to each key/value head. */
  readonly group: number;
  readonly scale: number;
  /** Of the scores; 0 for none. */
  readonly cap?: number;
  /** Address of a float for each query head: ALiBi's slopes; 0 for none. */
  readonly slopes?: number;
  /** Address of a float for each query head: a score without a value; 0 for none. */
  readonly sinks?: number;
  /** Windows begin at multiples of their length. */
  readonly chunked?: boolean;
  /** Tokens at the start that see each other and that all later ones see; none with slopes or a window. */
  readonly prefix?: number;
}

/**
 * Keys and values that a sequence of tokens left, in the kernels' memory: reserved once, and there until the kernels
 * are reset to before it.
 */
export class KvCache {
  readonly shape: KvShape;
  readonly cells: number;
  readonly #kernels: Kernels;
  readonly #address: number;
  /** Bytes of one head's keys, and of its values. */
  readonly #sizes: readonly [keys: number, values: number];
  #length = 0;
  /** The first position whose cell no later one has taken. */
  #start = 0;

  /** @throws LlqError `usage` when heads do not divide into the type's blocks, `no-space` when memory is short */
  constructor(kernels: Kernels, shape: KvShape) {
    const { type, keyLength, valueLength } = shape;
    this.shape = shape;
    this.cells = kvCells(shape);
    const element = kvElementBytes(type, keyLength, valueLength);
    this.#sizes = [this.cells * keyLength * element, this.cells * valueLength * element];
    this.#kernels = kernels;
    this.#address = kernels.reserve(kvBytes(shape));
  }

  /** Where it is. */
  get kernels(): Kernels {
    return this.#kernels;
  }

  /** Tokens appended, those that a ring has lost included. */
  get length(): number {
    return this.#length;
  }

  /** Most tokens that may be new together. */
  get #atOnce(): number {
    const { capacity, batch } = this.shape;
    return this.cells < capacity ? batch : capacity;
  }

  /** Addresses of a head's keys and values. */
  #head(head: number): [keys: number, values: number] {
    const [keys, values] = this.#sizes;
    const at = this.#address + head * (keys + values);
    return [at, at + keys];
  }

  /**
   * Takes in keys and values of the next `count` tokens: rows of heads × keyLength or valueLength floats, positions
   * applied, so many bytes from one token's to the next.
   */
  append(k: number, kStride: number, v: number, vStride: number, count: number): void {
    const { type, heads, keyLength, valueLength, capacity } = this.shape;
    if (count > this.#atOnce || this.#length + count > capacity) {
      throw new RangeError(`${count} tokens after ${this.#length} do not fit a cache of ${capacity}`);
    }
    const [storeKeys, storeValues] = [this.#kernels.call("store_keys"), this.#kernels.call("store_values")];
    const code = KV_TYPES.indexOf(type);
    for (let head = 0; head < heads; head++) {
      const [keys, values] = this.#head(head);
      const [fromK, fromV] = [k + head * keyLength * 4, v + head * valueLength * 4];
      storeKeys(code, fromK, kStride, count, this.#length, keys, this.cells, keyLength);
      storeValues(code, fromV, vStride, count, this.#length, values, this.cells, valueLength);
    }
    this.#length += count;
    this.#start = Math.max(this.#start, this.#length - this.cells);
  }

  /** Attention of the `count` tokens that were appended last. Takes attendBytes of memory while it runs. */
  attend(queries: Queries, count: number, attending: Attending): void {
    const { type, heads, keyLength, valueLength, window } = this.shape;
    const { group, scale, cap = 0, slopes = 0, sinks = 0, chunked = false, prefix = 0 } = attending;
    if (count > Math.min(this.#atOnce, this.#length) || prefix > this.#length) {
      throw new RangeError(`${count} tokens and a prefix of ${prefix} are not the last of ${this.#length}`);
    }
    const kernels = this.#kernels;
    const mark = kernels.mark();
    const scratch = kernels.reserve(this.attendBytes(count, group));
    const attention = kernels.call("cached_attention");
    for (let head = 0; head < heads; head++) {
      attention(
        KV_TYPES.indexOf(type),
        ...this.#head(head),
        this.cells,
        queries.q + head * group * keyLength * 4,
        queries.qStride,
        queries.o + head * group * valueLength * 4,
        queries.oStride,
        count,
        this.#length - count,
        group,
        keyLength,
        valueLength,
        scale,
        cap,
        slopes && slopes + head * group * 4,
        sinks && sinks + head * group * 4,
        window,
        Number(chunked),
        prefix,
        scratch,
      );
    }
    kernels.reset(mark);
  }

  /**
   * Attention of the token that was appended last to each of several caches, which begin with the same `shared` tokens: what
   * `attend` gives, a row of queries for each. None is a ring, all are of one shape and in this one's memory.
   */
  static attendTogether(
    caches: readonly KvCache[],
    shared: number,
    queries: Queries,
    { group, scale, cap = 0, slopes = 0, sinks = 0 }: Attending,
  ): void {
    const [{ shape, cells, kernels }] = caches as [KvCache];
    const { type, heads, keyLength, valueLength } = shape;
    const mark = kernels.mark();
    const scratch = kernels.reserve(caches[0]!.attendBytes(caches.length, group));
    const table = kernels.reserve(caches.length * TABLE_ENTRY);
    const attention = kernels.call("shared_attention");
    for (let head = 0; head < heads; head++) {
      const entries = caches.flatMap((cache) => [...cache.#head(head), cache.#length - 1]);
      new Uint32Array(kernels.memory.buffer, table, entries.length).set(entries);
      attention(
        ...[KV_TYPES.indexOf(type), table, caches.length, shared, cells],
        ...[queries.q + head * group * keyLength * 4, queries.qStride],
        ...[queries.o + head * group * valueLength * 4, queries.oStride],
        ...[group, keyLength, valueLength, scale, cap],
        ...[slopes && slopes + head * group * 4, sinks && sinks + head * group * 4],
        scratch,
      );
    }
    kernels.reset(mark);
  }

  /** Bytes of kernel memory that `attend` takes for itself. */
  attendBytes(count: number, group: number): number {
    const { keyLength, valueLength } = this.shape;
    return this.#kernels.call("cached_attention_scratch")(this.cells, count * group, keyLength, valueLength);
  }

  /** Forgets the tokens from position `length` on. False, and nothing done, when a ring has lost what then is seen. */
  truncate(length: number): boolean {
    if (length > this.#length) return false;
    if (length === 0) this.#start = 0;
    if (Math.max(0, length - this.shape.window + 1) < this.#start) return false;
    this.#length = length;
    return true;
  }

  /**
   * Takes over the tokens of another cache in the same kernels' memory, of the same heads and type. Their capacities may
   * differ as long as no token is where its place in the other ring would be another.
   */
  copyFrom(other: KvCache): void {
    const { type, heads, keyLength, valueLength, capacity } = this.shape;
    const cells = Math.min(this.cells, other.cells);
    const alike =
      (["type", "heads", "keyLength", "valueLength", "window"] as const).every(
        (key) => other.shape[key] === this.shape[key],
      ) && other.#kernels === this.#kernels;
    if (!alike || other.#length > (this.cells === other.cells ? capacity : Math.min(capacity, cells))) {
      throw new RangeError(`a cache of ${capacity} cannot take over ${other.#length} tokens of this one`);
    }
    const copy = this.#kernels.call("copy_cells");
    const count = Math.min(other.#length, cells);
    for (let head = 0; head < heads; head++) {
      const [from, to] = [other.#head(head), this.#head(head)];
      copy(KV_TYPES.indexOf(type), ...from, other.cells, ...to, this.cells, count, keyLength, valueLength);
    }
    this.#length = other.#length;
    this.#start = other.#start;
  }

  /** Another cache with the same tokens, which from then on goes its own way. */
  fork(): KvCache {
    const copy = new KvCache(this.#kernels, this.shape);
    copy.copyFrom(this);
    return copy;
  }
}
