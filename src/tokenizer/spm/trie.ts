import { NONE } from "../bpe/merger.js";

/** Texts and their values, to be walked one UTF-16 unit at a time. Nodes are numbers; 0 is the root. */
export class Trie {
  #nodes = 1;
  #values: number[] = [NONE];
  // The edges: an open hash table from (node, unit) to the next node, at most half full.
  #from = new Int32Array(1 << 10).fill(NONE);
  #units = new Uint16Array(1 << 10);
  #to = new Int32Array(1 << 10);

  /** Of two equal texts the last counts. */
  set(text: string, value: number): void {
    let node = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      let next = this.step(node, unit);
      if (next === NONE) {
        next = this.#nodes++;
        this.#values.push(NONE);
        this.#insert(node, unit, next);
      }
      node = next;
    }
    this.#values[node] = value;
  }

  /** The node that a unit leads to, or NONE. */
  step(node: number, unit: number): number {
    const slot = this.#slot(node, unit);
    return this.#from[slot] === NONE ? NONE : this.#to[slot]!;
  }

  /** The value of the text that ends at a node, or NONE. */
  value(node: number): number {
    return this.#values[node]!;
  }

  #insert(node: number, unit: number, next: number): void {
    if (2 * this.#nodes > this.#from.length) this.#grow();
    const slot = this.#slot(node, unit);
    this.#from[slot] = node;
    this.#units[slot] = unit;
    this.#to[slot] = next;
  }

  /** Where an edge is, or would be put. */
  #slot(node: number, unit: number): number {
    const mask = this.#from.length - 1;
    const hash = Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b);
    let slot = (hash ^ (hash >>> 15)) & mask;
    while (this.#from[slot] !== NONE && (this.#from[slot] !== node || this.#units[slot] !== unit)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const [from, units, to] = [this.#from, this.#units, this.#to];
    this.#from = new Int32Array(2 * from.length).fill(NONE);
    this.#units = new Uint16Array(2 * from.length);
    this.#to = new Int32Array(2 * from.length);
    for (let i = 0; i < from.length; i++) {
      if (from[i] === NONE) continue;
      const slot = this.#slot(from[i]!, units[i]!);
      this.#from[slot] = from[i]!;
      this.#units[slot] = units[i]!;
      this.#to[slot] = to[i]!;
    }
  }
}
