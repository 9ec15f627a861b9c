import type { TokenizerConfig } from "./hf/hf-config.js";
import { SPECIAL_TOKENS, type SpecialToken, type SpecialTokens, type Vocab } from "./types.js";

/**
 * The ids of the tokens that have a role: the token whose text a configuration gives, else the id it gives,
 * else the vocabulary's own (`fallback`). In llama.cpp's order, which is that of the keys in a GGUF file.
 * Models are published with ids beyond their `tokens`; there is no such token.
 */
export function resolveSpecial(
  config: TokenizerConfig,
  tokens: Pick<readonly string[], "lastIndexOf" | "length">,
  fallback: SpecialTokens,
): SpecialTokens {
  const idOf = (text: string | undefined) => {
    const id = text === undefined ? -1 : tokens.lastIndexOf(text);
    return id < 0 ? undefined : id;
  };
  const special: Partial<Record<SpecialToken, number>> = {};
  const take = (find: (name: SpecialToken) => number | undefined) => {
    for (const name of SPECIAL_TOKENS) {
      const id = special[name] ?? find(name);
      if (id !== undefined && id < tokens.length) special[name] = id;
    }
  };
  take((name) => idOf(config.texts.get(name)));
  take((name) => config.ids.get(name));
  take((name) => fallback[name]);
  return special;
}

/** What a text begins with, where it begins with anything: bos, behind the blank that it fills in ChatGLM-6B. */
export function textStart({ bos, gmask }: Vocab["special"]): number[] {
  return [gmask, bos].filter((id) => id !== undefined);
}
