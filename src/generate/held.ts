import type { Engine, Feed, Sequence } from "./engine.js";

/** A sequence of an engine, and the tokens that it holds. */
export class Held {
  readonly #engine: Engine;
  #sequence: Sequence;
  #ids: number[] = [];

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#sequence = engine.open();
  }

  get ids(): readonly number[] {
    return this.#ids;
  }

  /**
   * Forgets what these tokens do not begin with, and the last of them, whose logits are wanted.
   * @returns how many it still holds
   */
  keep(ids: Int32Array): number {
    let same = 0;
    while (same < ids.length - 1 && same < this.#ids.length && this.#ids[same] === ids[same]) same++;
    if (same < this.#ids.length) this.#truncate(same);
    return this.#ids.length;
  }

  /** What a step takes; its tokens count as held when `fed` says so. */
  feed(tokens: Int32Array): Feed {
    return { sequence: this.#sequence, tokens };
  }

  fed(tokens: Int32Array): void {
    for (const id of tokens) this.#ids.push(id);
  }

  /** Holds what another one of the same engine holds. */
  adopt(other: Held): void {
    this.#sequence.copyFrom(other.#sequence);
    this.#ids = [...other.#ids];
  }

  /** Starts again with nothing: after a step that failed nobody knows what the sequence holds. */
  restart(): void {
    this.#sequence.close();
    this.#sequence = this.#engine.open();
    this.#ids = [];
  }

  close(): void {
    this.#sequence.close();
  }

  #truncate(length: number): void {
    if (this.#sequence.truncate(length)) this.#ids.length = length;
    else this.restart();
  }
}
