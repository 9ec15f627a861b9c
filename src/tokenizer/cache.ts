/** Longer pieces are rarely seen again. */
const LONGEST_KEY = 64;
const MAX_ENTRIES = 1 << 16;

/** Ids of pieces of text that were met before; emptied when full. */
export class PieceCache {
  readonly #ids = new Map<string, Int32Array>();

  get(piece: string): Int32Array | undefined {
    return this.#ids.get(piece);
  }

  set(piece: string, ids: Int32Array): void {
    if (piece.length > LONGEST_KEY) return;
    if (this.#ids.size === MAX_ENTRIES) this.#ids.clear();
    this.#ids.set(piece, ids);
  }
}
