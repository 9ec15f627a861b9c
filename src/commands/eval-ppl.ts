import { Command } from "commander";
import { evaluatePerplexity, type Perplexity, type PerplexityProgress } from "../eval/perplexity.js";
import { openModel } from "../model.js";
import { createProgress, formatSeconds, interruptSignal, printJson, warn } from "../ui.js";
import { jsonOption, threadsOption, wholeNumber } from "./options.js";
import { chunkBos, readTokens } from "./text.js";

interface EvalPplOptions {
  readonly context: number;
  readonly chunks?: number;
  readonly threads?: number;
  readonly json?: boolean;
}

export const evalPplCommand = new Command("eval-ppl")
  .summary("measure a model's perplexity on a text")
  .description(
    "Measure how well a model predicts a text: perplexity by the protocol of llama-perplexity, with the weights\n" +
      "as they are stored and activations in f32. Lower is better; compare files of one model on one text.",
  )
  .argument("<model>", "GGUF file, or Hugging Face model folder")
  .argument("<text>", "UTF-8 text file that the model was not trained on")
  .option("-c, --context <n>", "tokens in a chunk; the second half of each is scored", wholeNumber(3), 512)
  .option("--chunks <n>", "chunks to evaluate (default: all)", wholeNumber(1))
  .addOption(threadsOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
Examples:
  llq eval-ppl llama-1b-q4.gguf wiki.test.raw
  llq eval-ppl ./Llama-3.2-1B wiki.test.raw --chunks 20
  llq eval-ppl llama-1b-q4.gguf wiki.test.raw --json > ppl.json`,
  )
  .action(async (path: string, textPath: string, options: EvalPplOptions) => {
    const model = openModel(path);
    const { contextLength } = model.hparams;
    if (options.context > contextLength) {
      warn(`${path} was trained with ${contextLength} tokens of context; perplexity suffers beyond`);
    }
    const tokens = readTokens(model, textPath);
    const progress = createProgress("eval-ppl", options.json);
    const result = await evaluatePerplexity(model, tokens, {
      context: options.context,
      chunks: options.chunks,
      bos: chunkBos(model),
      threads: options.threads,
      signal: interruptSignal(),
      onProgress: (state) => progress.update(state.done, state.total, note(state)),
    }).finally(() => progress.stop());
    if (options.json) printJson(document(path, textPath, result));
    else printResult(path, result);
  });

function note({ running, tokensPerSecond }: PerplexityProgress): string {
  const last = running.at(-1);
  const so = last === undefined ? "" : `, perplexity ${last.toFixed(4)} after ${running.length} chunks`;
  return `${tokensPerSecond.toFixed(0)} tokens/s${so}`;
}

function document(model: string, text: string, { ppl, running, ...rest }: Perplexity) {
  const chunks = running.length;
  return {
    schema: 1,
    model,
    text,
    protocol: "llama-perplexity",
    activations: "f32",
    perplexity: ppl,
    chunks,
    ...rest,
    running,
  };
}

function printResult(
  path: string,
  { ppl, error, count, context, running, seconds, tokensPerSecond }: Perplexity,
): void {
  console.log(`${path}: perplexity ${ppl.toFixed(4)} ± ${error.toFixed(4)}`);
  const speed = `${formatSeconds(seconds)}, ${tokensPerSecond.toFixed(0)} tokens/s`;
  console.log(`${running.length} chunks of ${context} tokens, ${count} scored; ${speed}`);
}
