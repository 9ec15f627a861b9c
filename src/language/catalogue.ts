import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { installedPath } from "../installed.js";
import type { Language } from "./language.js";
import { type Catalogue, speak } from "./t.js";

// Loaded only when another language than English is wanted.

/** From now on says everything in a language. @throws LlqError `system` when the package lacks its catalogue */
export function useLanguage(language: Language): void {
  speak(language === "en" ? undefined : readCatalogue(language));
}

function readCatalogue(language: Language): Catalogue {
  const bytes = readFileSync(installedPath(`${language}.br`));
  return JSON.parse(brotliDecompressSync(bytes).toString());
}
