import { Command } from "commander";
import { LlqError } from "../../../formats/errors.js";
import { Chat, chatEncoder } from "../../generate/chat/chat.js";
import { type ChatTemplate, chatTemplateOf, requireTemplate } from "../../generate/chat/template.js";
import type { Engine, LoadEngine } from "../../generate/engine.js";
import { generate } from "../../generate/generate.js";
import { checkFits } from "../../generate/lane.js";
import { checkPrompt } from "../../generate/text/prompt.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { BITS, findRecipe } from "../../quant/recipes/recipes.js";
import type { Tokenizer } from "../../tokenizer/types.js";
import { closedOutputSignal, createProgress, formatBytes, interruptible, warn } from "../../ui.js";
import {
  activationsOption,
  bitsOption,
  jsonOption,
  kvTypeOption,
  loraOption,
  numberFrom,
  positiveNumber,
  repeatable,
  threadsOption,
  wholeNumber,
} from "../shared/options.js";
import { MODEL_ARGUMENT, openSource } from "../shared/source.js";
import { modelTokenizer, readPrompt, warnOfContext } from "../shared/text.js";
import { chatOnTerminal, Interrupts } from "./chat.js";
import { checkOptions, type GenerateCommandOptions, generateOptions } from "./options.js";
import { describeTimings, printGenerated, remarkOnFinish } from "./report.js";

/** Where the model could hold more, as for llq fit. */
const DEFAULT_CONTEXT = 4096;

/** @param load makes a model ready to run */
export function createGenerateCommand(load: LoadEngine): Command {
  return new Command("generate")
    .summary(t`go on with a text, or answer in a chat`)
    .description(
      t`Run a model: it goes on with a text, or answers. A model that has a chat template is given the prompt as a
user's message and answers it, unless --raw says otherwise; one without goes on with the prompt as it is.
The text goes to stdout as it comes, everything else to stderr.`,
    )
    .argument("<model>", MODEL_ARGUMENT)
    .argument("[prompt]", t`text to go on with or to answer (default: none, the model begins)`)
    .option("-f, --file <file>", t`read the prompt from a UTF-8 text file`)
    .option("--chat", t`a conversation: read a message a line, /clear begins anew, /exit ends`)
    .option("--system <text>", t`system message: how the model is to answer`)
    .option("--template <file>", t`Jinja chat template instead of the model's own`)
    .option("--raw", t`no chat template`)
    .option("-n, --max-tokens <n>", t`tokens at most (default: until the model ends or the context is full)`, wholeNumber(1))
    .option("--temp <x>", t`temperature; 0 takes the likeliest token each time`, numberFrom(0), 0)
    .option("--top-k <n>", t`draw from the n likeliest tokens (0: all)`, wholeNumber(0), 0)
    .option("--top-p <x>", t`draw from the fewest tokens that have this share of all probability`, positiveNumber(1), 1)
    .option("--min-p <x>", t`draw from tokens of this share of the likeliest's probability`, numberFrom(0, 1), 0)
    .option("--repeat-penalty <x>", t`what logits of tokens that came lately are divided by`, positiveNumber(), 1)
    .option("--repeat-last-n <n>", t`how lately, in tokens`, wholeNumber(0), 64)
    .option("--seed <n>", t`the same seed draws the same text (default: by chance)`, wholeNumber(0))
    .addOption(repeatable("--stop <text>", t`end before this text`))
    .option("--special", t`print control tokens`)
    .option("-c, --context <n>", t`tokens that are held (default: 4096, or fewer if the model has fewer)`, wholeNumber(1))
    .option("--context-shift", t`when the context is full, forget the older half and go on`)
    .option("--keep <n>", t`tokens from the start that --context-shift keeps (default: the first)`, wholeNumber(0))
    .addOption(kvTypeOption())
    .addOption(activationsOption())
    .addOption(bitsOption(t`quantize on the way in, to about so many bits per weight`))
    .option("-t, --type <name>", t`quantize on the way in, to an exact mix or type, such as Q4_K_M`)
    .addOption(loraOption())
    .addOption(threadsOption())
    .option("--logprobs <n>", t`with --json: the n likeliest tokens in each place`, wholeNumber(0))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
${t`Examples:`}
  llq generate llama-1b-q4.gguf "Why is the sky blue?"
  llq generate llama-1b-q4.gguf --chat --system "Answer in one sentence."
  llq generate llama-1b-q4.gguf "Once upon a time" --raw -n 200
  llq generate ./Llama-3.2-1B "Write a haiku." --bits 4 --temp 0.8 --top-p 0.95 --seed 7
  llq generate llama-1b-q4.gguf -f article.txt --context 16384 --kv-type q8_0
  llq generate llama-1b-q4.gguf "Q: 2+2? A:" --raw --stop Q: --json --logprobs 5 > answer.json

${t`Filters are taken in llama.cpp's order: penalties, top-k, top-p, min-p, temperature. Log-probabilities are the model's,
before any of them. In a chat, Ctrl-C stops the answer and keeps what was said; a second one leaves.`}`,
    )
    .action((path: string, prompt: string | undefined, options: GenerateCommandOptions) =>
      run(load, path, prompt, options),
    );
} // biome-ignore format: options

async function run(
  load: LoadEngine,
  path: string,
  argument: string | undefined,
  options: GenerateCommandOptions,
): Promise<void> {
  checkOptions(argument, options);
  const { json, file, chat: isChat, threads, kvType, activations } = options;
  const recipe = options.type ?? (options.bits === undefined ? undefined : BITS[options.bits]);
  const engineOptions = {
    threads,
    kvType,
    activations,
    recipe: recipe === undefined ? undefined : findRecipe(recipe),
  };
  const text = file === undefined ? argument : readPrompt(file);
  const own =
    options.template === undefined
      ? undefined
      : { name: options.template, source: readPrompt(options.template) };
  const model = await openSource(path, options);
  const context = options.context ?? Math.min(DEFAULT_CONTEXT, model.hparams.contextLength);
  warnOfContext(model, context, t`what it says beyond may be of no use`);
  const tokenizer = modelTokenizer(model);
  const template = chooseTemplate(model, own, options);
  const prompt = isChat ? undefined : promptIds(model, tokenizer, template, text, options);
  if (prompt !== undefined)
    checkFits(checkPrompt(model.vocab, prompt, model.hparams.vocabSize).length, context);
  const withEngine = async (signal: AbortSignal, use: (engine: Engine) => Promise<void>) => {
    const progress = createProgress(t`load`, json);
    const engine = await load(model, {
      ...engineOptions,
      context,
      signal,
      onProgress: (done, total) => progress.update(done, total, formatBytes(total)),
      onWarning: warn,
    }).finally(() => progress.stop());
    try {
      await use(engine);
    } finally {
      await engine.close();
    }
  };
  if (prompt !== undefined) {
    await interruptible((signal) =>
      withEngine(signal, (engine) => answer(engine, model, prompt, template !== undefined, options, signal)),
    );
    return;
  }
  const turns = requireTemplate(path, template);
  const interrupts = new Interrupts();
  await withEngine(interrupts.leaving, async (engine) => {
    const chat = new Chat(engine, model, tokenizer, turns, generateOptions(model, options), options.system);
    await converse(chat, interrupts, text, context);
  });
}

/** @throws LlqError `usage` where one is asked for and there is none */
function chooseTemplate(
  model: Model,
  own: ChatTemplate | undefined,
  { raw, chat, system }: GenerateCommandOptions,
): ChatTemplate | undefined {
  if (raw) return undefined;
  const template = own ?? chatTemplateOf(model.path, model.vocab);
  return chat || system !== undefined ? requireTemplate(model.path, template) : template;
}

/** @throws LlqError `usage` when there is nothing to answer */
function promptIds(
  model: Model,
  tokenizer: Tokenizer,
  template: ChatTemplate | undefined,
  text: string | undefined,
  { system }: GenerateCommandOptions,
): Int32Array {
  if (template === undefined) return tokenizer.encode(text ?? "");
  if (text === undefined || text === "") {
    throw new LlqError("usage", t`there is nothing to answer`, {
      hint: t`give a prompt, -f <file> or --chat; with --raw the model begins by itself`,
    });
  }
  const messages = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: text },
  ];
  return chatEncoder(model, tokenizer, template)(messages);
}

async function answer(
  engine: Engine,
  model: Model,
  prompt: Int32Array,
  isChat: boolean,
  options: GenerateCommandOptions,
  interrupt: AbortSignal,
): Promise<void> {
  const { json } = options;
  const closed = closedOutputSignal();
  const generation = generate(engine, model.vocab, prompt, {
    ...generateOptions(model, options),
    ...(isChat ? { continues: false } : {}),
    signal: AbortSignal.any([interrupt, closed]),
  });
  for await (const { text } of generation) if (!json) process.stdout.write(text);
  if (closed.aborted) return;
  const { generated } = generation;
  if (json) printGenerated(model.path, generated, isChat);
  else {
    if (!generated.text.endsWith("\n")) process.stdout.write("\n");
    const seed = generated.seed === undefined ? "" : t`; seed ${generated.seed}`;
    process.stderr.write(`${describeTimings([generated.timings])}${seed}\n`);
    const remark = remarkOnFinish(generated, engine.context);
    if (remark !== undefined) process.stderr.write(`${remark}\n`);
  }
  interrupt.throwIfAborted();
}

async function converse(
  chat: Chat,
  interrupts: Interrupts,
  first: string | undefined,
  context: number,
): Promise<void> {
  const closed = closedOutputSignal();
  try {
    const timings = await chatOnTerminal(chat, {
      ...{ interrupts, closed, first },
      onAnswer: (generated) => {
        const remark = remarkOnFinish(generated, context);
        if (remark !== undefined) process.stderr.write(`${remark}\n`);
      },
    });
    if (timings.length > 0 && !closed.aborted) process.stderr.write(`${describeTimings(timings)}\n`);
    interrupts.leaving.throwIfAborted();
  } finally {
    chat.close();
  }
}
