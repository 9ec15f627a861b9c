import * as v from "valibot";
import { bytes, count, estimate, flag, is, maybe, number, schema, seconds, text } from "./fields.js";

const percentiles = {
  min: number,
  max: number,
  median: number,
  percentiles: is(v.record(v.string(), number), "by percent, such as 99.9"),
};

const divergence = v.strictObject({
  tokens: count,
  basePpl: is(estimate, "perplexity of the base"),
  lnPplRatio: is(estimate, "ln(PPL / PPL of the base)"),
  pplRatio: estimate,
  pplDifference: estimate,
  correlation: is(number, "of ln PPL and ln PPL of the base"),
  kld: is(v.strictObject({ ...estimate.entries, ...percentiles }), "Kullback-Leibler divergence in nats"),
  deltaP: is(
    v.strictObject({ ...estimate.entries, ...percentiles }),
    "probability of the text's token less that of the base",
  ),
  deltaPRms: is(estimate, "root of the mean square of it"),
  sameTop: is(estimate, "share of tokens at which both have the same likeliest token"),
});

const activations = is(v.picklist(["int8", "f32"]), "what met quantized weights");
const fast = maybe(
  is(
    flag,
    "with --fast: whether products of floats were fused, so that the last digits are that engine's own",
  ),
);
const protocol = is(text, "llama-perplexity, llama-perplexity --ppl-stride, or full window");

const verdict = v.strictObject({
  bound: is(text, "its option, such as max-kld"),
  limit: number,
  value: number,
  error: is(number, "standard error of the value"),
  outcome: is(v.picklist(["met", "broken", "undecided"]), "undecided: the error bar reaches the limit"),
  isWithin: is(flag, "whether the value itself is within the limit"),
});

/** llq eval-ppl */
export const PERPLEXITY = v.strictObject({
  schema,
  model: text,
  text: maybe(text),
  base: maybe(is(text, "model or baseline")),
  protocol,
  context: is(count, "tokens in a chunk"),
  stride: maybe(count),
  activations,
  fast,
  perplexity: number,
  error: is(number, "of the perplexity, standard error"),
  nll: is(number, "mean negative log-likelihood of a token, in nats: ln perplexity"),
  count: is(count, "tokens that were scored"),
  chunks: is(count, "that were evaluated"),
  chunksOfText: count,
  seconds,
  tokensPerSecond: number,
  divergence: maybe(is(divergence, "from the base, if there is one")),
  gate: maybe(
    is(
      v.strictObject({
        result: v.picklist(["passed", "failed", "undecided"]),
        strict: flag,
        verdicts: v.array(verdict),
      }),
      "of the bounds, if there are any",
    ),
  ),
  running: is(v.array(number), "perplexity after each chunk"),
});

const compared = {
  model: text,
  perplexity: number,
  error: is(number, "of the perplexity, standard error"),
  fileBytes: bytes,
  bitsPerWeight: number,
  types: is(v.array(text), "of its matrices, that of the most weights first"),
  tokensPerSecond: is(number, "of this one run"),
};

/** llq compare */
export const COMPARISON = v.strictObject({
  schema,
  text,
  protocol,
  context: is(count, "tokens in a chunk"),
  activations,
  fast,
  chunks: count,
  count: is(count, "tokens that were scored"),
  seconds,
  base: v.object(compared),
  models: v.array(
    v.object({
      ...compared,
      divergence,
      histogram: is(
        v.strictObject({ edges: v.array(number), counts: v.array(count) }),
        "of the tokens' divergences",
      ),
      parts: is(
        v.array(
          v.strictObject({
            part: is(
              v.union([v.number(), v.picklist(["token_embd", "output"])]),
              "layer, or what is outside",
            ),
            relativeError: is(number, "of all its weights: sqrt(Σ(w - ŵ)² / Σw²)"),
            tensors: v.array(v.strictObject({ name: text, dtype: text, relativeError: number })),
          }),
        ),
        "how far weights are from the base's",
      ),
    }),
  ),
});

const interval = v.strictObject({ value: number, low: number, high: number });

const answers = {
  accuracy: is(interval, "share of right answers, with its 95 % interval"),
  accuracyNormalized: maybe(is(interval, "the same by log-likelihood over length of the ending")),
  chance: is(number, "accuracy of guessing"),
  truthfulness: maybe(is(number, "TruthfulQA's mc2: what right answers have of the probability")),
  perplexity: maybe(is(number, "where there are no options: e to the mean -ln p of the answers")),
  questions: v.array(
    v.object({
      line: is(count, "of the file"),
      answer: is(count, "index of the right option"),
      logLikelihoods: is(v.array(number), "of each option"),
      tokens: is(v.array(count), "of each option"),
      lengths: is(v.array(number), "what the likelihood of each is divided by to compare by length"),
      greedy: is(v.array(flag), "whether every token of each option is the likeliest"),
    }),
  ),
  skipped: is(count, "questions longer than the context"),
  cut: is(count, "questions that are asked without their beginning"),
  shots: count,
  activations,
  seconds,
};
const asked = { schema, model: text, file: text, protocol: is(text, "llq or harness") };

/** llq eval-choice */
export const CHOICE = v.object({ ...asked, fast, format: is(text, "of the questions"), ...answers });

const means = {
  accuracy: is(interval, "of all questions alike, with its 95 % interval"),
  accuracyNormalized: maybe(is(interval, "the same by log-likelihood over length of the ending")),
  macro: is(number, "mean of the subjects' accuracies"),
  macroNormalized: maybe(number),
};

/** llq eval-choice of a folder with a file for each subject */
export const CHOICE_FOLDER = v.object({
  ...asked,
  fast,
  format: is(text, "of the questions"),
  ...means,
  categories: is(
    v.array(v.object({ category: text, subjects: is(count, "of its own"), ...means })),
    "STEM, humanities and so on, of MMLU, C-Eval and CMMLU",
  ),
  subjects: v.array(v.object({ subject: text, result: v.object(answers) })),
  leftOut: is(v.array(text), "subjects of which no question fits the context"),
  seconds,
});

const byName = v.record(v.string(), interval);

/** llq eval-gen */
export const ANSWERED = v.object({
  ...asked,
  base: maybe(is(text, "model or saved result")),
  task: text,
  shots: count,
  isChat: is(flag, "whether the chat template was used"),
  maxTokens: is(count, "an answer's most"),
  activations,
  asked: is(text, "hash of the questions in their words: runs with the same can be paired"),
  counts: is(text, "the score that counts"),
  accuracy: is(interval, "share of right answers by it, with its 95 % interval"),
  accuracies: is(byName, "by score"),
  groups: is(byName, "of the tasks or subjects that the questions are of"),
  cut: is(count, "prompts without their beginning"),
  unfinished: is(count, "answers as long as they may be"),
  batch: is(count, "sequences at once"),
  tokensPerSecond: is(number, "in all sequences together"),
  seconds,
  comparison: maybe(
    v.object({
      base: is(number, "accuracy of the base"),
      both: is(count, "questions that both have right"),
      neither: count,
      lost: is(v.array(text), "questions that the base alone has right"),
      gained: is(v.array(text), "questions that the model alone has right"),
      drop: is(number, "share of the questions that is lost, less what is gained"),
      error: is(v.nullable(number), "its standard error; null for one question"),
      p: is(number, "McNemar's test, exact, both sides"),
      needed: is(v.array(v.object({ loss: number, questions: count })), "questions to see a loss"),
    }),
  ),
  gate: maybe(
    v.object({
      result: v.picklist(["passed", "failed"]),
      verdicts: v.array(
        v.object({
          bound: v.picklist(["min-accuracy", "max-drop"]),
          ...{ limit: number, value: number, low: number, high: number },
          isWithin: flag,
          isClose: is(flag, "more questions could turn it"),
        }),
      ),
    }),
  ),
  questions: v.array(
    v.object({
      id: text,
      group: text,
      prompt: is(text, "its hash"),
      promptTokens: count,
      tokens: is(count, "of the answer"),
      text: is(text, "of the answer, as far as it is looked at"),
      finish: text,
      scores: v.record(v.string(), v.object({ answer: text, isRight: flag })),
    }),
  ),
});

/** llq generate */
export const GENERATED = v.strictObject({
  schema,
  model: text,
  template: is(flag, "whether the chat template was used"),
  prompt: v.strictObject({ tokens: v.array(count) }),
  tokens: v.array(
    v.strictObject({
      token: is(count, "its id"),
      text: is(text, "that it added"),
      logprob: maybe(number),
      top: maybe(
        is(
          v.array(v.strictObject({ token: count, text, logprob: number })),
          "the likeliest, with --logprobs",
        ),
      ),
    }),
  ),
  text,
  finish: v.picklist(["stop", "end", "length", "context", "interrupted"]),
  seed: maybe(number),
  timings: v.strictObject({
    promptTokens: is(count, "that were fed"),
    reusedTokens: is(count, "that were held already"),
    promptSeconds: number,
    promptTokensPerSecond: number,
    decodeTokens: count,
    decodeSeconds: number,
    decodeTokensPerSecond: number,
  }),
});
