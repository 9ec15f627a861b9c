import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openContainer } from "../../formats/open.js";
import { formatTable } from "../../src/ui.js";
import { type LlamaShape, writeSynthetic } from "../synthetic.js";
import { measureLlq } from "./measure.js";

/** About 260 M weights: long enough that starting up does not count, short enough to do it several times. */
const SHAPE: LlamaShape = { hidden: 2048, layers: 4, heads: 32, kvHeads: 8, ffn: 5632, vocab: 16384 };
const TYPES = ["Q8_0", "Q4_0", "Q4_K_M", "Q6_K"];
const PAIRS = 3;
const THREADS = "2";

/**
 * `llq quantize` against llama-quantize of the build in `folder`, both with two threads on the same GGUF, in
 * turn. Ratios are of wall times, pair by pair: they hold where the machine's speed drifts.
 */
export function benchNative(folder: string): void {
  const scratch = mkdtempSync(join(tmpdir(), "llq-bench-"));
  try {
    const model = join(scratch, "model");
    const source = join(scratch, "source.gguf");
    const [ours, theirs] = [join(scratch, "ours.gguf"), join(scratch, "theirs.gguf")];
    writeSynthetic(model, SHAPE);
    measureLlq(["convert", model, "-o", source]);
    const rows = TYPES.map((type) => {
      const pairs = Array.from({ length: PAIRS }, () => {
        const { seconds } = measureLlq([
          "quantize",
          source,
          "-o",
          ours,
          "--type",
          type,
          "-j",
          THREADS,
          "--force",
        ]);
        return { ours: seconds, theirs: runLlamaQuantize(folder, [source, theirs, type, THREADS]) };
      });
      const ratios = pairs.map((pair) => pair.theirs / pair.ours).sort((a, b) => a - b);
      const best = (of: "ours" | "theirs") => `${Math.min(...pairs.map((pair) => pair[of])).toFixed(1)} s`;
      const ratio = `${ratios[PAIRS >> 1]!.toFixed(1)} (${ratios[0]!.toFixed(1)} to ${ratios.at(-1)!.toFixed(1)})`;
      return [type, best("ours"), best("theirs"), ratio, String(differingTensors(ours, theirs))];
    });
    console.log(`\nwhole files of 260 M BF16 weights, ${THREADS} threads, ${PAIRS} pairs`);
    console.log(formatTable(["type", "llq", "llama-quantize", "times faster", "differing tensors"], rows));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function runLlamaQuantize(folder: string, args: readonly string[]): number {
  const started = performance.now();
  const { status, error } = spawnSync(join(folder, "llama-quantize"), args, { stdio: "ignore" });
  if (status !== 0) throw new Error(`${join(folder, "llama-quantize")} ended with ${status ?? error}`);
  return (performance.now() - started) / 1000;
}

/** Tensors whose type or bytes differ. */
function differingTensors(a: string, b: string): number {
  const [x, y] = [hashes(a), hashes(b)];
  return [...x].filter(([name, hash]) => y.get(name) !== hash).length;
}

function hashes(path: string): Map<string, string> {
  const file = readFileSync(path);
  const { tensors } = openContainer(path);
  return new Map(
    [...tensors].map(([name, { dtype, offset, byteLength }]) => [
      name,
      dtype +
        createHash("sha256")
          .update(file.subarray(offset, offset + byteLength))
          .digest("hex"),
    ]),
  );
}
