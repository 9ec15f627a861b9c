// Every sentence for people goes through here. The English stands where it is said and is the key of its translation; those
// are in a folder for each language, such as zh/, and loaded only when one is wanted.

/** Translations by the fingerprint of the English; `{0}` is the first value. */
export type Catalogue = Readonly<Record<string, string>>;

let current: Catalogue | undefined;

/** From now on speaks the language of a catalogue, or English. Sentences that were made before stay as they are. */
export function speak(catalogue: Catalogue | undefined): void {
  current = catalogue;
}

/** What is spoken: threads are handed it. */
export function spoken(): Catalogue | undefined {
  return current;
}

/** A sentence in the language that is spoken, and in English where that lacks it. */
export function t(english: TemplateStringsArray, ...values: readonly unknown[]): string {
  const other = current?.[fingerprint(keyOf(english))];
  if (other !== undefined) return other.replace(/\{(\d+)\}/g, (_, i: string) => String(values[Number(i)]));
  return english.reduce((text, next, i) => `${text}${values[i - 1]}${next}`);
}

/** The English with `{0}`, `{1}`, ... for its values: what catalogues are written by. */
export function keyOf(english: readonly string[]): string {
  return english.reduce((text, next, i) => `${text}{${i - 1}}${next}`);
}

/** FNV-1a of 32 bits over UTF-16, in 36 digits: no two keys have the same, which release/messages.mjs checks. */
export function fingerprint(key: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(36);
}
