import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Check } from "./check.js";
import { addFolder, call, launch, openPage } from "./chromium.js";
import { inNode, sha256Of } from "./node-side.js";
import { serve } from "./serve.js";

const MODEL = join(import.meta.dirname, "../../../samples/tiny-llama");
const TEXT = join(import.meta.dirname, "../../../samples/text.txt");
const TYPES = ["Q4_K_M", "Q8_0", "IQ3_S", "Q2_K"];

interface Quantized {
  readonly sha256: string;
  readonly byteLength: number;
}

interface Measured {
  readonly ppl: number;
  readonly error: number;
  readonly nll: number;
  readonly divergence: { readonly kld: { readonly value: number } };
}

/** The sample's bytes, verdicts and figures are those of Node. */
export async function same(folder: string): Promise<Check[]> {
  const checks: Check[] = [];
  const served = await serve(true);
  const browser = await launch();
  try {
    const page = await openPage(browser, served.url);
    await addFolder(page, MODEL, "source");
    for (const [i, type] of TYPES.entries()) {
      const output = join(folder, `${type}.gguf`);
      inNode({ do: "quantize", model: MODEL, type, output, threads: 1 });
      const kind = i % 2 === 0 ? "opfs" : "memory";
      const target = { kind, name: `${type}.gguf` };
      const { sha256 } = await call<Quantized>(page, "quantize", { model: "source", type, target, as: type });
      const expected = sha256Of(output);
      checks.push({
        what: `${type} to ${kind} has Node's sha256`,
        holds: sha256 === expected,
        found: sha256,
      });
    }
    await call(page, "addWritten", { file: "Q4_K_M", as: "written" });
    const verdicts = await call<string[]>(page, "verify", { written: "written", source: "source" });
    const identical = verdicts.filter((verdict) => verdict === "identical").length;
    checks.push({
      what: "verify finds Q4_K_M identical",
      holds: identical === verdicts.length && identical > 0,
      found: `${identical} of ${verdicts.length}`,
    });
    const text = readFileSync(TEXT, "utf8").slice(0, 6000);
    const context = 128;
    const here = await call<Measured>(page, "perplexity", {
      model: "written",
      base: "source",
      text,
      context,
    });
    const model = join(folder, "Q4_K_M.gguf");
    const there = inNode<Measured>({ do: "perplexity", model, base: MODEL, text, context });
    const figures = ({ ppl, error, nll }: Measured) => JSON.stringify([ppl, error, nll]);
    checks.push({
      what: "perplexity, its error and the mean of -ln p are Node's to the last digit",
      holds: figures(here) === figures(there),
      found: `${figures(here)} and ${figures(there)}`,
    });
    // Math.exp and Math.log are not those of Node's V8, in the last bit.
    const [kld, expected] = [here, there].map(({ divergence }) => divergence.kld.value) as [number, number];
    checks.push({
      what: "the divergence is Node's to 12 digits",
      holds: Math.abs(kld - expected) <= 1e-12 * expected,
      found: `${kld} and ${expected}`,
    });
  } finally {
    await browser.close();
    served.close();
  }
  return checks;
}
