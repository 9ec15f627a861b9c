import { rmSync } from "node:fs";
import { join } from "node:path";
import { load, median } from "../bench/measure.js";
import { type Ground, quantizeArgs, runLlq } from "./task.js";

const PAIRS = 5;
const WANTED = 0.95;

/** Two processes of one thread, and then finish, against one process of two threads; in turns, each first as often. */
export async function checkSpeed(ground: Ground): Promise<void> {
  const [alone, together] = [join(ground.scratch, "alone.gguf"), join(ground.scratch, "together.gguf")];
  const one = async () => {
    const run = await runLlq(quantizeArgs(ground, alone, undefined, "2"));
    rmSync(alone);
    return run;
  };
  const two = async () => {
    const started = performance.now();
    const parts = await Promise.all(
      ["1/2", "2/2"].map((part) => runLlq(quantizeArgs(ground, together, part))),
    );
    const seconds = (performance.now() - started) / 1000;
    const finish = await runLlq(["finish", together, "-q"]);
    rmSync(together);
    const cpuSeconds = parts.reduce((sum, part) => sum + part.cpuSeconds, 0);
    return { seconds, cpuSeconds, finish, peak: Math.max(...parts.map((part) => part.peakRssBytes)) };
  };
  await one(); // reads the model into the page cache
  const ratios: { wall: number; cpu: number; wallToEnd: number; cpuToEnd: number }[] = [];
  for (let i = 0; i < PAIRS; i++) {
    const before = i % 2 === 0 ? await one() : undefined;
    const b = await two();
    const a = before ?? (await one());
    ratios.push({
      wall: a.seconds / b.seconds,
      cpu: a.cpuSeconds / b.cpuSeconds,
      wallToEnd: a.seconds / (b.seconds + b.finish.seconds),
      cpuToEnd: a.cpuSeconds / (b.cpuSeconds + b.finish.cpuSeconds),
    });
    console.log(
      `pair ${i + 1}: one run ${a.seconds.toFixed(1)} s (CPU ${a.cpuSeconds.toFixed(1)}), two parts ` +
        `${b.seconds.toFixed(1)} s (CPU ${b.cpuSeconds.toFixed(1)}, at most ${(b.peak / 2 ** 20).toFixed(0)} MiB each), ` +
        `finish ${b.finish.seconds.toFixed(2)} s (CPU ${b.finish.cpuSeconds.toFixed(2)}); ${load()}`,
    );
  }
  const of = (key: "wall" | "cpu" | "wallToEnd" | "cpuToEnd") => median(ratios.map((each) => each[key]));
  const [wall, cpu] = [of("wall"), of("cpu")];
  console.log(
    `two processes of one thread, times as fast as one of two: ${wall.toFixed(3)} by the clock, ${cpu.toFixed(3)} by CPU ` +
      `time; with finish ${of("wallToEnd").toFixed(3)} and ${of("cpuToEnd").toFixed(3)} (medians of ${PAIRS})`,
  );
  if (wall < WANTED && cpu < WANTED) throw new Error(`that is less than ${WANTED}`);
}
