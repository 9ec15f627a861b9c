import { readCompressed } from "#host/assets";
import { decodeUtf8 } from "#host/bytes";
import { installedPath } from "../installed.js";
import type { Language } from "./language.js";
import { type Catalogue, speak } from "./t.js";

// Loaded only when another language than English is wanted.

/** From now on says everything in a language. @throws LlqError `system` when the package lacks its catalogue */
export function useLanguage(language: Language): void {
  speak(language === "en" ? undefined : readCatalogue(language));
}

function readCatalogue(language: Language): Catalogue {
  return JSON.parse(decodeUtf8(readCompressed(installedPath(`browser/${language}.gz`))));
}
