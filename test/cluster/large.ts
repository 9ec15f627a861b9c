import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { load } from "../bench/measure.js";
import { checkpointOf, type LlamaShape } from "../support/shapes.js";
import { copyTokenizer } from "../synthetic.js";
import { type Ground, runLlq } from "./task.js";

/** Llama 3.1 405B. */
const SHAPE: LlamaShape = {
  ...{ hidden: 16384, layers: 126, heads: 128, kvHeads: 8, ffn: 53248, vocab: 128256 },
  context: 131072,
};
const SHARDS = 191;
const PARTS = 230;

/**
 * What a part of a model of 405 G weights takes. The checkpoint is a header and a hole, so that 812 GB need no room: times of
 * the weights themselves say nothing (all are zeros), those before them and the memory do.
 */
export async function checkLarge({ scratch }: Ground): Promise<void> {
  const model = join(scratch, "405b");
  const bytes = writeHoles(model);
  const dry = await runLlq(["quantize", model, "--bits", "4", "--dry-run", "-q"]);
  const output = join(scratch, "405b.gguf");
  const splits = ["--split-max-size", "1G", "--part", `1/${PARTS}`];
  const part = await runLlq([
    "quantize",
    model,
    "-o",
    output,
    "--bits",
    "4",
    "--threads",
    "2",
    "-q",
    ...splits,
  ]);
  const files = readdirSync(scratch).filter((name) => name.startsWith("405b") && name.endsWith(".gguf"));
  const written = files.reduce((sum, name) => sum + statSync(join(scratch, name)).size, 0);
  const say = ({ seconds, cpuSeconds, peakRssBytes }: typeof dry) =>
    `${seconds.toFixed(1)} s, CPU ${cpuSeconds.toFixed(1)} s, ${(peakRssBytes / 2 ** 20).toFixed(0)} MiB`;
  console.log(
    `405 G weights, ${(bytes / 1e9).toFixed(0)} GB: the plan ${say(dry)}; part 1/${PARTS} in ${files.length} files ` +
      `(${(written / 1e9).toFixed(2)} GB) ${say(part)}; ${load()}`,
  );
  for (const name of readdirSync(scratch))
    if (name.startsWith("405b")) rmSync(join(scratch, name), { recursive: true });
}

/** @returns bytes of all tensors */
function writeHoles(folder: string): number {
  mkdirSync(folder);
  const { config, tensors } = checkpointOf(SHAPE, "bfloat16");
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  copyTokenizer(folder);
  const map: Record<string, string> = {};
  let total = 0;
  for (let shard = 0; shard < SHARDS; shard++) {
    const own = tensors.filter((_, i) => Math.floor((i * SHARDS) / tensors.length) === shard);
    const name = `model-${`${shard + 1}`.padStart(5, "0")}-of-${`${SHARDS}`.padStart(5, "0")}.safetensors`;
    let end = 0;
    const entries = own.map(([tensor, shape]) => {
      map[tensor] = name;
      const begin = end;
      end += 2 * shape.reduce((product, length) => product * length, 1);
      return [tensor, { dtype: "BF16", shape, data_offsets: [begin, end] }];
    });
    const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(text.length));
    const fd = openSync(join(folder, name), "w");
    writeSync(fd, Buffer.concat([head, text]));
    ftruncateSync(fd, 8 + text.length + end);
    closeSync(fd);
    total += end;
  }
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: map }));
  return total;
}
