import { copyFileSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { load } from "../bench/measure.js";
import { type Ground, runLlq } from "./task.js";

const RUNS = 5;
const WANTED_SECONDS = 3;

/** How long finish takes with a file of 4.4 GB that is in the page cache. */
export async function checkFinish({ model, scratch }: Ground): Promise<void> {
  const output = join(scratch, "finish.gguf");
  const records = ["1-of-2", "2-of-2"].map((part) => `${output}.part-${part}`);
  for (const part of ["1/2", "2/2"])
    await runLlq(["convert", model, "-o", output, "--type", "f32", "--threads", "2", "-q", "--part", part]);
  for (const record of records) copyFileSync(record, `${record}.kept`);
  const { size } = statSync(`${output}.partial`);
  const seconds: number[] = [];
  for (let i = 0; i <= RUNS; i++) {
    const run = await runLlq(["finish", output, "-q"]);
    // the first one warms up
    if (i > 0) seconds.push(run.seconds);
    console.log(
      `finish of ${(size / 1e9).toFixed(2)} GB: ${run.seconds.toFixed(2)} s, CPU ${run.cpuSeconds.toFixed(2)} s; ${load()}`,
    );
    renameSync(output, `${output}.partial`);
    for (const record of records) copyFileSync(`${record}.kept`, record);
  }
  for (const path of [`${output}.partial`, ...records, ...records.map((record) => `${record}.kept`)])
    if (existsSync(path)) rmSync(path);
  const best = Math.min(...seconds);
  if (best > WANTED_SECONDS)
    throw new Error(`finish takes ${best.toFixed(2)} s, more than ${WANTED_SECONDS}`);
}
