/**
 * Text on its way out, which ends before the first stop string. What may be the beginning of one is held back.
 */
export class StopFilter {
  readonly #stops: readonly string[];
  #held = "";

  /** @param stops none of them empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** What of the text can go out, and whether a stop string came behind it. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    const all = this.#held + text;
    const places = this.#stops.map((stop) => all.indexOf(stop)).filter((place) => place >= 0);
    const stopped = places.length > 0;
    const end = stopped ? Math.min(...places) : all.length - this.#beginning(all);
    this.#held = stopped ? "" : all.slice(end);
    return { text: all.slice(0, end), stopped };
  }

  /** What was held back, when nothing comes behind it. */
  end(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }

  /** The length of the longest end of the text that a stop string begins with. */
  #beginning(text: string): number {
    const lengths = this.#stops.map((stop) => {
      for (let n = Math.min(stop.length - 1, text.length); n > 0; n--)
        if (text.endsWith(stop.slice(0, n))) return n;
      return 0;
    });
    return Math.max(0, ...lengths);
  }
}
