import type { Matrix } from "./moments.js";

/** Shared memory that is used again: as much of each kind as the largest that was asked for. */
export class Room {
  readonly #buffers = new Map<string, SharedArrayBuffer>();

  /** A matrix of f32, whatever it had before or zeros; the last of that name is void. */
  matrix(name: string, rows: number, columns: number, zeros = false): Matrix {
    const bytes = rows * columns * 4;
    let buffer = this.#buffers.get(name);
    if (buffer === undefined || buffer.byteLength < bytes) {
      this.#buffers.delete(name);
      buffer = new SharedArrayBuffer(bytes);
      this.#buffers.set(name, buffer);
    } else if (zeros) new Uint8Array(buffer, 0, bytes).fill(0);
    return { buffer, columns };
  }
}
