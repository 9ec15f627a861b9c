import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { byteLength, type DTypeName } from "../../formats/dtype.js";
import { type Imatrix, openImatrix } from "../../formats/imatrix/imatrix.js";
import { openSensitivity } from "../../formats/sensitivity.js";
import { chunkBos, modelTokenizer } from "../../src/commands/shared/text.js";
import { calibrate } from "../../src/eval/calibrate/calibrate.js";
import { WITHOUT_GRID } from "../../src/eval/calibrate/codes/grids.js";
import type { Effort } from "../../src/eval/calibrate/options.js";
import { calibrationChunks } from "../../src/eval/calibrate/text.js";
import { type ImatrixSource, writeImatrix } from "../../src/eval/imatrix/imatrix-file.js";
import { evaluatePerplexity } from "../../src/eval/perplexity/perplexity.js";
import { writeSensitivity } from "../../src/eval/sensitivity/sensitivity-file.js";
import { type Model, openModel } from "../../src/model.js";
import { planBySize } from "../../src/quant/by-size/by-size.js";
import { menuOf } from "../../src/quant/by-size/menu.js";
import { type Plan, planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { appraise } from "../../src/run/measure/appraise.js";
import { execute } from "../../src/run/write/execute.js";
import { mean, pair } from "./paired.js";

const SAMPLES = fileURLToPath(new URL("../../../samples", import.meta.url)); // from dist/test/bench
const CONTEXT = 256;
const SCORED_CHUNKS = 64;
const TOKENS = 32_768;

/** What to look at in place of the usual. */
export interface FeedbackBench {
  readonly beside?: readonly string[] | undefined;
  readonly mix?: readonly string[] | undefined;
}

/** How much is looked at. */
interface Size {
  readonly scoredChunks: number;
  /** Of the importance matrix. */
  readonly chunks: number;
  readonly tokens: number;
}
const WHOLE: Size = { scoredChunks: SCORED_CHUNKS, chunks: 256, tokens: TOKENS };
/** Of models that are not small. */
const PART: Size = { scoredChunks: 16, chunks: 32, tokens: 8192 };

/**
 * Error feedback beside the rounding of llama-quantize with an importance matrix, at the same bytes: mean divergence from the
 * model, f32 activations, paired over chunks of other documents than were calibrated on.
 * @param shared the folder of public models and texts, which are too large or not free to be in this repository
 * @param files models to measure in place of the two small ones, less closely
 * @param options `beside`: files of tiny-llama that others have made, to be beaten in no more bytes of tensors, in place of all
 * else; `mix`: what files are rounded to
 */
export async function benchFeedback(
  shared: string,
  files: readonly string[] = [],
  { beside = [], mix: mixes = ["IQ4_NL", "Q3_K_M", "Q2_K"] }: FeedbackBench = {},
): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "llq-bench-"));
  const data = (...path: string[]) => join(shared, "data", ...path);
  const put = (name: string, text: string) => {
    writeFileSync(join(scratch, name), text);
    return join(scratch, name);
  };
  try {
    const [scored, calibration] = halves(readFileSync(data("eval/wikitext2/wiki.test.raw"), "utf8"));
    const texts = { calibration: put("wiki-b.txt", calibration), scored: put("wiki-a.txt", scored) };
    for (const file of files) {
      console.log(
        `\nfeedback: ${file}, calibrated on one half of WikiText-2's test articles, scored on the other`,
      );
      const bench = await Bench.open(file, scratch, texts, PART);
      for (const mix of mixes) await bench.sameTypes(mix, "full");
    }
    if (files.length > 0) return;
    const tiny = await Bench.open(join(SAMPLES, "tiny-llama"), scratch, texts);
    console.log(
      `\nfeedback: tiny-llama, calibrated on one half of WikiText-2's test articles, scored on the other`,
    );
    for (const file of beside) await tiny.beside(file);
    if (beside.length > 0) return;
    await tiny.sameTypes("Q4_K_M", "plain");
    await tiny.sameTypes("Q4_K_M", "full");
    await tiny.sameTypes("Q3_K_M", "full");
    for (const mix of ["Q4_K_M", "Q3_K_M", "Q2_K"]) await tiny.ownTypes(mix);
    console.log("other text, or less: Q4_K_M's types");
    await tiny.onText("text.txt, 7 700 tokens", readFileSync(join(SAMPLES, "text.txt"), "utf8"), 7700);
    await tiny.onText("1 000 tokens", calibration, 1000);
    await tiny.onText("200 tokens", calibration, 200);
    const line = calibration
      .split("\n")
      .find((each) => each.length > 100)!
      .slice(0, 80);
    await tiny.onText("one line again and again", `${line}\n`.repeat(300), 4096);
    const stories = readFileSync(
      data("eval/tinystories/tinystories-train-head.656K-charset.txt"),
      "utf8",
    ).split("\n\n");
    const half = Math.floor(stories.length / 2);
    const wide = await Bench.open(data("weights/TinyStories-656K-wide256-gguf/model-f32.gguf"), scratch, {
      calibration: put("first.txt", stories.slice(0, half).join("\n\n")),
      scored: put("second.txt", stories.slice(half).join("\n\n")),
    });
    console.log("TinyStories-656K x2, calibrated on one half of the stories, scored on the other");
    await wide.sameTypes("Q4_K_M", "full");
    await wide.ownTypes("Q4_K_M");
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** A text in two, at the article that begins after its middle. */
function halves(text: string): [string, string] {
  const articles = [...text.matchAll(/^ = [^=].* = \n/gm)].filter(({ 0: head }) => !head.startsWith(" = ="));
  const middle = articles.find(({ index }) => index >= text.length / 2)!.index;
  return [text.slice(0, middle), text.slice(middle)];
}

/** A model, with what it is calibrated and scored on, and the divergences of its files with an importance matrix. */
class Bench {
  readonly #fixed = new Map<string, { readonly plan: Plan; readonly klds: readonly number[] }>();

  readonly model: Model;
  readonly scratch: string;
  readonly imatrix: Imatrix;
  readonly source: ImatrixSource;
  readonly scored: Int32Array;
  readonly size: Size;
  #sensitivity: string | undefined;

  private constructor(parts: Pick<Bench, "model" | "scratch" | "imatrix" | "source" | "scored" | "size">) {
    this.model = parts.model;
    this.scratch = parts.scratch;
    this.imatrix = parts.imatrix;
    this.source = parts.source;
    this.scored = parts.scored;
    this.size = parts.size;
  }

  static async open(
    path: string,
    scratch: string,
    texts: { readonly calibration: string; readonly scored: string },
    size = WHOLE,
  ): Promise<Bench> {
    const model = openModel(path);
    const bos = chunkBos(model);
    const tokens = tokensOf(model, readFileSync(texts.calibration, "utf8"));
    const source = { model, text: texts.calibration, tokens };
    const matrix = join(scratch, "imatrix.gguf");
    await writeImatrix(matrix, source, { context: CONTEXT, chunks: size.chunks, bos, force: true });
    const scored = tokensOf(model, readFileSync(texts.scored, "utf8"));
    return new Bench({ model, scratch, imatrix: openImatrix(matrix), source, scored, size });
  }

  async #measured(): Promise<string> {
    if (this.#sensitivity !== undefined) return this.#sensitivity;
    const { model, imatrix } = this;
    const path = join(this.scratch, "sensitivity.json");
    const options = { context: CONTEXT, chunks: 16, bos: chunkBos(model), imatrix, force: true };
    await writeSensitivity(path, this.source, options);
    this.#sensitivity = path;
    return path;
  }

  async sameTypes(mix: string, effort: Effort): Promise<void> {
    const { plan } = await this.#fixedFile(mix);
    const klds = await this.#calibrated(plan, this.source.tokens, effort);
    await this.#report(`${mix}'s types, ${effort}`, mix, plan, klds);
  }

  async ownTypes(mix: string): Promise<void> {
    const { model, imatrix } = this;
    const fixed = await this.#fixedFile(mix);
    const options = { imatrix, guide: imatrix };
    const menu = menuOf(model, options, WITHOUT_GRID);
    const prices = await appraise(model, menu, {
      imatrix,
      sensitivity: openSensitivity(await this.#measured()),
    });
    const plan = planBySize(model, { bytes: fixed.plan.byteLength, of: "file" }, menu, prices, options);
    if ("needed" in plan) throw new Error(`${mix}: nothing is as small`);
    await this.#report(
      `${mix}'s size, measured types, plain rounding`,
      mix,
      plan,
      await this.#divergences(plan),
    );
    const klds = await this.#calibrated(plan, this.source.tokens, "full");
    await this.#report(`${mix}'s size, measured types, full`, mix, plan, klds);
  }

  /** A file that others have made: with its types, and with types of ours in no more bytes of tensors. */
  async beside(file: string): Promise<void> {
    const { model, imatrix } = this;
    const other = openModel(file);
    const overrides = other.tensors.map(({ name, dtype }) => ({
      ...{ pattern: name, names: new RegExp(`^${name.replaceAll(".", "\\.")}$`), dtype },
    }));
    const klds = await this.#divergencesOf(file);
    const bytesOf = (tensors: readonly { readonly dtype: DTypeName; readonly shape: readonly number[] }[]) =>
      tensors.reduce((sum, { dtype, shape }) => sum + byteLength(dtype, shape), 0);
    const bytes = bytesOf(other.tensors);
    const options = { imatrix, overrides: overrides.filter(({ dtype }) => dtype !== "F32") };
    const same = planQuantize(model, findRecipe("Q4_K_M"), options);
    const bySize = { imatrix, guide: imatrix };
    const menu = menuOf(model, bySize, WITHOUT_GRID);
    const sensitivity = openSensitivity(await this.#measured());
    const prices = await appraise(model, menu, { imatrix, sensitivity });
    const own = planBySize(model, { bytes, of: "tensors" }, menu, prices, bySize);
    if ("needed" in own) throw new Error(`${file}: nothing is as small`);
    for (const [name, plan] of [["its types", same] as const, ["measured types", own] as const]) {
      const ours = await this.#calibrated(plan, this.source.tokens, "full");
      const size = bytesOf(plan.tensors.map(({ tensor, dtype }) => ({ dtype, shape: tensor.shape })));
      const [theirs, mine] = [mean(klds), mean(ours)];
      const { t, p } = pair(klds, ours);
      console.log(
        `  ${basename(file)}, ${name}: ${theirs.toFixed(5)} -> ${mine.toFixed(5)} = ${(mine / theirs).toFixed(3)}, t ${(-t).toFixed(1)}, p ${p.toExponential(0)}, ${size} of ${bytes} bytes of tensors`,
      );
    }
  }

  async onText(name: string, text: string, tokens: number): Promise<void> {
    const { plan } = await this.#fixedFile("Q4_K_M");
    const own = tokensOf(this.model, text).slice(0, tokens);
    await this.#report(name, "Q4_K_M", plan, await this.#calibrated(plan, own, "full"));
  }

  async #report(name: string, mix: string, plan: Plan, klds: readonly number[]): Promise<void> {
    const fixed = await this.#fixedFile(mix);
    const { t, p } = pair(fixed.klds, klds);
    const [before, after] = [mean(fixed.klds), mean(klds)];
    const bytes = `${plan.byteLength} of ${fixed.plan.byteLength} bytes`;
    const ratio = (after / before).toFixed(3);
    console.log(
      `  ${name}: ${before.toFixed(5)} -> ${after.toFixed(5)} = ${ratio}, t ${(-t).toFixed(1)}, p ${p.toExponential(0)}, ${bytes}`,
    );
  }

  async #fixedFile(mix: string) {
    const known = this.#fixed.get(mix);
    if (known !== undefined) return known;
    const plan = planQuantize(this.model, findRecipe(mix), {
      imatrix: this.imatrix,
      allowRequantize: true,
    });
    const made = { plan, klds: await this.#divergences(plan) };
    this.#fixed.set(mix, made);
    return made;
  }

  async #calibrated(plan: Plan, tokens: Int32Array, effort: Effort): Promise<number[]> {
    const { model } = this;
    const bos = chunkBos(model);
    const context = tokens.length >= 16 * CONTEXT ? CONTEXT : undefined;
    const chunks = calibrationChunks(model, tokens, { tokens: this.size.tokens, context, bos });
    const output = join(this.scratch, "calibrated.gguf");
    const options = { effort, scratch: join(this.scratch, "rounded"), force: true };
    return this.#divergences((await calibrate(model, plan, output, chunks, options)).apply(plan));
  }

  async #divergences(plan: Plan): Promise<number[]> {
    const file = join(this.scratch, "file.gguf");
    await execute(plan, file, { force: true });
    return this.#divergencesOf(file);
  }

  async #divergencesOf(file: string): Promise<number[]> {
    const { model, scored } = this;
    const { chunkMeans } = await evaluatePerplexity(openModel(file), scored, {
      ...{
        context: CONTEXT,
        chunks: this.size.scoredChunks,
        bos: chunkBos(model),
        base: model,
        activations: "f32",
      },
    });
    return chunkMeans.map(({ base }) => base!.kld);
  }
}

function tokensOf(model: Model, text: string): Int32Array {
  return modelTokenizer(model).encode(text.replace(/\n$/, ""));
}
