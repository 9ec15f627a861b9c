import type { Kernels } from "../../kernels/kernels.js";
import type { Membership, Part, Rows } from "../products/weights.js";

// How threads that go through a model in step hand each other what they have computed.

/** What the threads share. Plain data. */
export interface Meeting {
  readonly threads: number;
  /** See ARRIVED, TURN, FAILED. */
  readonly control: SharedArrayBuffer;
  /** Used in turns: who writes to one has seen all the others come for the last, so all have read it. */
  readonly buffers: readonly [SharedArrayBuffer, SharedArrayBuffer];
}

/** Threads that have come to the next meeting; how many meetings there were; whether a thread has failed. */
const [ARRIVED, TURN, FAILED] = [0, 1, 2];

/** What a thread throws because another one has failed; what that one threw is what happened. */
export class Deserted extends Error {}

/** Looks at the others before a thread sleeps: some 30 µs, more than threads with equal shares wait. */
const LOOKS = 5000;

/** Bytes of each of a meeting's buffers. @param floats that are exchanged at once, at most */
export function bufferBytes(threads: number, floats: number): number {
  return threads > 1 ? floats * 4 : 0;
}

/** @param floats that are exchanged at once, at most */
export function createMeeting(threads: number, floats: number): Meeting {
  const buffer = () => new SharedArrayBuffer(bufferBytes(threads, floats));
  return { threads, control: new SharedArrayBuffer(12), buffers: [buffer(), buffer()] };
}

/** A thread's share of `units` things. */
export function shareOf(units: number, thread: number, threads: number): Rows {
  const first = Math.floor((units * thread) / threads);
  return [first, Math.floor((units * (thread + 1)) / threads) - first];
}

/** A thread among those of a meeting. Plain data. */
export interface Place {
  readonly meeting: Meeting;
  readonly thread: number;
}

export function membershipOf(exchange: Exchange, { meeting: { threads }, thread }: Place): Membership {
  return {
    threads,
    share: (units) => shareOf(units, thread, threads),
    exchange: (kernels, tokens, parts) => exchange.exchange(kernels, tokens, parts),
  };
}

/** One thread's side of a meeting. */
export class Exchange {
  readonly #threads: number;
  readonly #control: Int32Array;
  readonly #buffers: readonly Float32Array[];
  #turn = 0;

  constructor({ threads, control, buffers }: Meeting) {
    this.#threads = threads;
    this.#control = new Int32Array(control);
    this.#buffers = buffers.map((buffer) => new Float32Array(buffer));
  }

  /** Gives the others this thread's columns of each part, and takes theirs; as many tokens at once as there is room for. */
  exchange(kernels: Kernels, tokens: number, parts: readonly Part[]): void {
    if (this.#threads === 1) return;
    const width = parts.reduce((sum, part) => sum + part.width, 0);
    const step = Math.floor(this.#buffers[0]!.length / width);
    if (step === 0) throw new RangeError(`${width} floats of a token are more than threads can exchange`);
    for (let first = 0; first < tokens; first += step) {
      const some = parts.map((part) => ({ ...part, y: part.y + first * part.width * 4 }));
      this.#exchange(kernels, Math.min(step, tokens - first), some);
    }
  }

  #exchange(kernels: Kernels, tokens: number, parts: readonly Part[]): void {
    const shared = this.#buffers[this.#turn]!;
    this.#turn = 1 - this.#turn;
    eachRow(kernels, tokens, parts, (own, at, { first, count }) => {
      shared.set(own.subarray(first, first + count), at + first);
    });
    this.meet();
    eachRow(kernels, tokens, parts, (own, at, { first, count, width }) => {
      if (first > 0) own.set(shared.subarray(at, at + first));
      const end = first + count;
      if (end < width) own.set(shared.subarray(at + end, at + width), end);
    });
  }

  /** Waits for the others. @throws Deserted when one of them has failed */
  meet(): void {
    const control = this.#control;
    const turn = Atomics.load(control, TURN); // before looking for a failure, which makes it another
    if (Atomics.load(control, FAILED) !== 0) throw new Deserted();
    if (Atomics.add(control, ARRIVED, 1) === this.#threads - 1) {
      Atomics.store(control, ARRIVED, 0);
      Atomics.add(control, TURN, 1);
      Atomics.notify(control, TURN);
    } else {
      for (let look = 0; look < LOOKS && Atomics.load(control, TURN) === turn; look++);
      while (Atomics.load(control, TURN) === turn) Atomics.wait(control, TURN, turn);
    }
    if (Atomics.load(control, FAILED) !== 0) throw new Deserted();
  }

  /** Lets nobody wait for this thread any more. */
  fail(): void {
    Atomics.store(this.#control, FAILED, 1);
    Atomics.add(this.#control, TURN, 1);
    Atomics.notify(this.#control, TURN);
  }
}

/** Each token's row of each part, and where it is among all that are exchanged. */
function eachRow(
  kernels: Kernels,
  tokens: number,
  parts: readonly Part[],
  visit: (row: Float32Array, at: number, part: Part) => void,
): void {
  let at = 0;
  for (const part of parts) {
    const { y, width } = part;
    for (let token = 0; token < tokens; token++, at += width) {
      visit(kernels.floats(y + token * width * 4, width), at, part);
    }
  }
}
