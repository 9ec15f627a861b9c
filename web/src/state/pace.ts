import type { Progress, Stage } from "../engine/protocol.js";

/** How something long is getting on: where it is, and where it was in the last seconds. */
export interface Pace extends Progress {
  /** Milliseconds and amount done, the oldest first. */
  readonly samples: readonly (readonly [time: number, done: number])[];
}

/** Milliseconds that a speed is taken over: long enough for uneven tensors, short enough to follow a device that gets hot. */
const WINDOW = 20_000;
/** Milliseconds of a stage before its end is guessed. */
const PATIENCE = 1_500;
/** Samples are at least so far apart. */
const GAP = 250;

export function startPace(stage: Stage): Pace {
  return { stage, done: 0, total: 0, samples: [] };
}

export function nextPace(pace: Pace, progress: Progress, time: number): Pace {
  const isNew = progress.stage !== pace.stage || progress.total !== pace.total || progress.done < pace.done;
  const before = isNew ? [] : pace.samples;
  const last = before.at(-1);
  if (last !== undefined && time - last[0] < GAP) return { ...progress, samples: before };
  const kept = before.filter(([at], i) => time - at <= WINDOW || i === before.length - 1);
  return { ...progress, samples: [...kept, [time, progress.done]] };
}

/** The share that is done, 0 to 1; undefined when nobody knows how much there is. */
export function shareDone({ done, total }: Progress): number | undefined {
  return total > 0 ? Math.min(1, done / total) : undefined;
}

/** Seconds that are left; undefined as long as that is guesswork. */
export function secondsLeft(pace: Pace): number | undefined {
  const speed = speedOf(pace);
  return speed === undefined ? undefined : Math.max(0, (pace.total - pace.done) / speed);
}

/** Amount a second. */
export function speedOf({ samples, done, total }: Pace): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || total <= 0) return undefined;
  const time = last[0] - first[0];
  const amount = Math.min(done, last[1]) - first[1];
  return time < PATIENCE || amount <= 0 ? undefined : (1000 * amount) / time;
}
