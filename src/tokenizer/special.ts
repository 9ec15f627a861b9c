import type { TokenizerConfig } from "./hf-config.js";
import { SPECIAL_TOKENS, type SpecialToken, type SpecialTokens } from "./types.js";

/**
 * The ids of the tokens that have a role: the token whose text a configuration gives, else the id it gives,
 * else the vocabulary's own (`fallback`). In llama.cpp's order, which is that of the keys in a GGUF file.
 */
export function resolveSpecial(
  config: TokenizerConfig,
  idOf: (text: string) => number | undefined,
  fallback: SpecialTokens,
): SpecialTokens {
  const special: Partial<Record<SpecialToken, number>> = {};
  const take = (find: (name: SpecialToken) => number | undefined) => {
    for (const name of SPECIAL_TOKENS) {
      const id = special[name] ?? find(name);
      if (id !== undefined) special[name] = id;
    }
  };
  take((name) => (config.texts.has(name) ? idOf(config.texts.get(name)!) : undefined));
  take((name) => config.ids.get(name));
  take((name) => fallback[name]);
  return special;
}
