import { t } from "../language/t.js";

// What llq lacks for models that it refuses: by what transformers calls their classes, or llama.cpp their architectures.

/** The first that fits a name holds. */
const NEEDED: readonly (readonly [name: RegExp, needed: () => string])[] = [
  [
    /For(?!CausalLM|\w*ConditionalGeneration|BlockDiffusion)[A-Z]\w*$|OnlyMLMHead$/,
    () => t`a head that predicts the next token, which this class has not`,
  ],
  [
    /^(?:[\w-]*bert|electra|camembert|xlm|xmod|data2vec|roformer|ernieFor|bigbirdFor|gte|esm|deberta)/i,
    () => t`layers of encoders, whose norms stand behind each half, and token types`,
  ],
  [
    /^(?:m?bart|plbart|blenderbot|marian|\w*pegasus|mvp|prophetnet|trocr|whisper|u?m?t5|florence|udop|pix2struct|speech|visionEncoder|kosmos)/i,
    () => t`an encoder, and attention to what it gives, beside the decoder`,
  ],
  [/^(?:rwkv|xlstm|recurrentgemma|reformer)/i, () => t`its own recurrence or hashing in place of attention`],
  [
    /^(?:minimax(?:text|01|For)|minimax-01|bailing(?:hybrid|moev3|moe3)|lfm3|zaya|olmohybrid)/i,
    () => t`its kind of linear attention or convolution`,
  ],
  [
    /^(?:bamba|falcon-?h1|jamba|zamba|plamo2|nemotronhPuzzle)/i,
    () => t`attention and state spaces in the forms that it mixes`,
  ],
  [
    /^(?:deepseek_?v?4|qwen4|glm5_?next|hy_?v4|kimi-?k3)/i,
    () => t`hyper-connections: several streams of hidden states that layers mix`,
  ],
  [/^(?:minimax-?m3|dots3|glm5v)/i, () => t`an index that chooses which keys a query sees`],
  [/^longcat/i, () => t`two attentions a layer, and experts that do nothing`],
  [/^gemma3n/i, () => t`embeddings for each layer, and streams that layers predict for each other`],
  [
    /^gemma4unified|assistant|eagle3|dspark|dflash/i,
    () => t`the model that it drafts for, or modalities that share its layers`,
  ],
  [/^difflm|^diffllama/i, () => t`attention that is the difference of two`],
  [/^mllama|^idefics(?:For|2)|^evolla/i, () => t`attention to images in layers of their own`],
  [/diffusion|^dream|^llada|^rnd1/i, () => t`denoising in place of one token after another`],
  [
    /^(?:moshi|musicgen|csm|kyutai|qwen3tts|pockettts|wavtokenizer)/i,
    () => t`codes of sound in place of tokens`,
  ],
  [/^(?:blt|canine|byt5)/i, () => t`patches of bytes in place of tokens`],
  [
    /^(?:opt|xglm|biogpt|gptneo(?!x)|gptj|codegen|ctrl|openaigpt|xlnet|persimmon|fuyu|gptneoxjapanese)(?:For|LM|$)/i,
    () => t`a family of its own, which llama.cpp has not either`,
  ],
  [/Model$/, () => t`a head that predicts the next token (…ForCausalLM)`],
  [
    /ConditionalGeneration$|^(?:clip|\w+vl)$/i,
    () => t`its language model as a family, beside which what sees or hears is left out`,
  ],
];

/** What it would take to read a model of that class or architecture. */
export function neededFor(name: string): string {
  return NEEDED.find(([pattern]) => pattern.test(name))?.[1]() ?? t`a family of its own, with its layers`;
}
