import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatBytes } from "../../src/ui.js";
import type { LlamaShape } from "../support/shapes.js";
import { writeSynthetic } from "../synthetic.js";
import { emptyNodeRss, measureLlq, printTable } from "./measure.js";

/** About 1.07 G weights, 2.1 GB as BF16. */
const TWO_GIGABYTES: LlamaShape = {
  hidden: 2048,
  layers: 20,
  heads: 32,
  kvHeads: 8,
  ffn: 5632,
  vocab: 32000,
};

/**
 * Whole runs of `llq quantize` on a synthetic 2 GB checkpoint: weights a second and peak memory, for one thread
 * and two. `folder` is where the checkpoint and the outputs go for the while.
 */
export function benchQuantize(types: readonly string[], folder: string = tmpdir()): void {
  const scratch = mkdtempSync(join(folder, "llq-bench-"));
  try {
    const model = join(scratch, "model");
    writeSynthetic(model, TWO_GIGABYTES);
    const node = emptyNodeRss();
    const rows: string[][] = [];
    for (const type of types) {
      for (const threads of [1, 2]) {
        const output = join(scratch, `${type}.gguf`);
        const args = [
          "quantize",
          model,
          "-o",
          output,
          "--type",
          type,
          "-j",
          String(threads),
          "--force",
          "--json",
        ];
        const { stdout, peakRssBytes } = measureLlq(args);
        const { elements, seconds } = JSON.parse(stdout);
        rows.push([
          type,
          String(threads),
          `${(elements / seconds / 1e6).toFixed(0)} M/s`,
          `${(statSync(output).size / seconds / 1e6).toFixed(0)} MB/s`,
          formatBytes(peakRssBytes),
          formatBytes(peakRssBytes - node),
        ]);
      }
    }
    console.log("\nllq quantize, from a synthetic 2 GB BF16 checkpoint (page cache warm)");
    printTable(["type", "threads", "weights", "written", "peak RSS", "above Node's own"], rows);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
