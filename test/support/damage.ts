import { LlqError } from "../../formats/errors.js";
import { Random } from "./random.js";

/** A valid file to be damaged. */
export interface Sample {
  readonly bytes: Uint8Array;
  /** A copy in which a number of the format is another: what random bytes alone seldom reach. */
  readonly renumbered: (random: Random) => Uint8Array;
}

export interface Target {
  readonly name: string;
  readonly samples: readonly Sample[];
  /** Parses, and throws if what was accepted breaks an invariant. */
  readonly parse: (bytes: Uint8Array) => void;
}

/** Numbers at the edges of what parsers compute with. */
export const EDGES: readonly bigint[] = [0n, 7n, 8n, 16n, 31n, 32n, 53n, 63n, 64n].flatMap((bits) => [
  2n ** bits - 1n,
  2n ** bits,
  2n ** bits + 1n,
]);

/**
 * Damages samples `count` times, from `seed` on, and parses the results.
 * @throws Error that names the seed, when anything but an LlqError comes out
 */
export function attack(target: Target, count: number, seed: number): { accepted: number; refused: number } {
  let accepted = 0;
  for (let i = seed; i < seed + count; i++) {
    const random = new Random(i);
    const bytes = damaged(random.pick(target.samples), random);
    try {
      target.parse(bytes);
      accepted++;
    } catch (cause) {
      if (!(cause instanceof LlqError)) throw new Error(`${target.name}: seed ${i}: ${cause}`, { cause });
    }
  }
  return { accepted, refused: count - accepted };
}

export function damaged(sample: Sample, random: Random): Uint8Array {
  let bytes = random.below(3) > 0 ? sample.renumbered(random) : sample.bytes.slice();
  for (let times = random.below(3); times > 0; times--) bytes = random.pick(WAYS)(bytes, random);
  return bytes;
}

const WAYS: readonly ((bytes: Uint8Array, random: Random) => Uint8Array)[] = [
  function flip(bytes, random) {
    const copy = bytes.slice();
    const at = random.below(copy.length);
    if (copy.length > 0) copy[at] = copy[at]! ^ (1 << random.below(8));
    return copy;
  },
  function cut(bytes, random) {
    const at = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.below(16))]);
  },
  function truncate(bytes, random) {
    return bytes.subarray(0, random.below(bytes.length + 1));
  },
  function splice(bytes, random) {
    const from = random.below(bytes.length);
    const to = random.below(bytes.length);
    const piece = bytes.subarray(from, from + random.below(64));
    return Buffer.concat([bytes.subarray(0, to), piece, bytes.subarray(to)]);
  },
  function multiply(bytes, random) {
    const from = random.below(bytes.length);
    const piece = bytes.subarray(from, from + 1 + random.below(24));
    const times = 2 ** random.below(12);
    return Buffer.concat([
      bytes.subarray(0, from),
      ...Array.from({ length: times }, () => piece),
      bytes.subarray(from),
    ]);
  },
  function overwrite(bytes, random) {
    const copy = bytes.slice();
    copy.copyWithin(random.below(bytes.length), random.below(bytes.length), random.below(bytes.length));
    return copy;
  },
];
