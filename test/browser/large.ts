import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { checkpointOf } from "../support/shapes.js";
import type { Check } from "./check.js";
import { addFolder, call, launchProfile, openPage } from "./chromium.js";
import { inNode, sha256Of } from "./node-side.js";
import { serve } from "./serve.js";

/** 6.3 GB in BF16, of which the disk has next to nothing. */
const SHAPE = { hidden: 4096, layers: 15, heads: 32, kvHeads: 32, ffn: 11008, vocab: 16000 };
const SAMPLE = join(import.meta.dirname, "../../../samples/tiny-llama");

/** A file of holes, with numbers here and there: at places that 32 bits would take for others. */
function writeSparse(folder: string): number {
  mkdirSync(folder);
  const { config, tensors } = checkpointOf(SHAPE, "bfloat16");
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  for (const name of ["tokenizer.model", "tokenizer_config.json"])
    copyFileSync(join(SAMPLE, name), join(folder, name));
  let end = 0;
  const entries = tensors.map(([name, shape]) => {
    const begin = end;
    end += shape.reduce((product, length) => product * length, 2);
    return [name, { dtype: "BF16", shape, data_offsets: [begin, end] }] as const;
  });
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const start = 8 + text.length;
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  const fd = openSync(join(folder, "model.safetensors"), "w");
  writeSync(fd, head, 0, 8, 0);
  writeSync(fd, text, 0, text.length, 8);
  for (const [i, [, { data_offsets: offsets }]] of entries.entries()) {
    const numbers = Uint16Array.from({ length: 256 }, (_, k) => 0x3c00 + ((i * 37 + k * 11) % 512));
    writeSync(fd, new Uint8Array(numbers.buffer), 0, 512, start + offsets[0]!);
  }
  ftruncateSync(fd, start + end);
  closeSync(fd);
  return start + end;
}

export async function large(folder: string): Promise<Check[]> {
  const model = join(folder, "sparse");
  const byteLength = writeSparse(model);
  const output = join(folder, "out.gguf");
  const type = "Q4_0";
  const { seconds } = inNode<{ seconds: number }>({ do: "quantize", model, type, output, threads: 2 });
  const expected = sha256Of(output);
  const served = await serve(true);
  const browser = await launchProfile(join(folder, "profile"));
  try {
    const page = await openPage(browser, served.url);
    await addFolder(page, model, "source");
    const target = { kind: "opfs", name: "out.gguf" };
    const args = { model: "source", type, target, threads: 2 };
    const here = await call<{ sha256: string; seconds: number }>(page, "quantize", args);
    return [
      {
        what: `${(byteLength / 1e9).toFixed(2)} GB, read in slices, have Node's sha256`,
        holds: here.sha256 === expected,
        found: `${here.sha256} (Node ${seconds.toFixed(1)} s, Chromium ${here.seconds.toFixed(1)} s)`,
      },
    ];
  } finally {
    await browser.close();
    served.close();
  }
}
