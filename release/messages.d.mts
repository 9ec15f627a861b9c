export interface Place {
  readonly file: string;
  readonly at: string;
}

export const LANGUAGES: readonly string[];
export function readSources(): { said: Map<string, Place>; problems: string[] };
export function readCatalogue(language: string): { file: string; key: string; text: string }[];
export function problemsOf(language: string, said: ReadonlyMap<string, Place>): string[];
export function fingerprint(key: string): string;
