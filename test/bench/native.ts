import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openContainer } from "../../formats/open.js";
import type { LlamaShape } from "../support/shapes.js";
import { writeSynthetic } from "../synthetic.js";
import { load, measureLlq, measureProgram, medianAndRange, printTable } from "./measure.js";

/** About 520 M weights: long enough that starting up does not count, short enough to do it several times. */
const SHAPE: LlamaShape = { hidden: 2048, layers: 10, heads: 32, kvHeads: 8, ffn: 5632, vocab: 16384 };
const TYPES = ["Q8_0", "Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "Q3_K_M", "IQ4_XS"];
const PAIRS = 3;
const THREADS = "2";

/**
 * `llq quantize` against llama-quantize of the build in `folder`, both with two threads on the same GGUF, in
 * turn. Ratios are pair by pair: they hold where the machine's speed drifts; those of processor time also where other
 * work runs beside.
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
        const own = measureLlq(["quantize", source, "-o", ours, "--type", type, "-j", THREADS, "--force"]);
        const program = join(folder, "llama-quantize");
        return { own, other: measureProgram(program, [source, theirs, type, THREADS]) };
      });
      const least = (who: "own" | "other", what: "seconds" | "cpuSeconds") =>
        `${Math.min(...pairs.map((pair) => pair[who][what])).toFixed(1)} s`;
      const ratio = (what: "seconds" | "cpuSeconds") =>
        medianAndRange(
          pairs.map(({ own, other }) => other[what] / own[what]),
          1,
        );
      return [
        type,
        least("own", "seconds"),
        least("other", "seconds"),
        ratio("seconds"),
        least("own", "cpuSeconds"),
        least("other", "cpuSeconds"),
        ratio("cpuSeconds"),
        String(differingTensors(ours, theirs)),
      ];
    });
    console.log(
      `\nwhole files of 520 M BF16 weights, ${THREADS} threads, ${PAIRS} pairs, ${load()}; of times the least`,
    );
    const columns = [
      "type",
      "llq",
      "llama-quantize",
      "times faster",
      "CPU time",
      "its CPU time",
      "times less",
    ];
    printTable([...columns, "differing tensors"], rows);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
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
