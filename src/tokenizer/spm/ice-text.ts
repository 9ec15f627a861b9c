import { LlqError } from "../../../formats/errors.js";
import type { SentencePieceModel } from "../../../formats/sentencepiece/sentencepiece.js";
import { t } from "../../language/t.js";
import type { TokenizerConfig } from "../hf/hf-config.js";
import type { Vocab } from "../types.js";
import { vocabFromSentencePiece } from "./sentencepiece.js";
import { SPELLED_WHITE_SPACE } from "./white-space.js";

/**
 * The vocabulary of ChatGLM-6B's ice_text.model. Its texts begin with `[gMASK]` and `<sop>`.
 * @throws LlqError `unsupported` for the first release, whose ids follow those of 20000 images, and `unsupported` and
 * `bad-input` as vocabFromSentencePiece
 */
export function vocabFromIceText(
  name: string,
  model: SentencePieceModel,
  config: TokenizerConfig,
  rows?: number,
): Vocab {
  if (config.imageTokens > 0) {
    throw new LlqError(
      "unsupported",
      t`${name}: ids come after those of ${config.imageTokens} image tokens`,
      {
        hint: t`later releases of ChatGLM-6B have none: vocab_size 130528, num_image_tokens 0`,
      },
    );
  }
  const vocab = vocabFromSentencePiece(name, model, { ...config, addBos: true, addEos: false }, rows);
  if (vocab.kind === "unigram") return { ...vocab, pre: SPELLED_WHITE_SPACE };
  throw new LlqError("unsupported", t`${name}: a SentencePiece model of type ${model.modelType}`, {
    hint: t`ChatGLM-6B's is of type unigram`,
  });
}
