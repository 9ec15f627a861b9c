/** What holds, or does not. */
export interface Check {
  readonly what: string;
  readonly holds: boolean;
  readonly found: string;
}

/** @param folder to write to, which is empty */
export type Part = (folder: string) => Promise<readonly Check[]>;
