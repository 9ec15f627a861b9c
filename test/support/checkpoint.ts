import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A tensor of a safetensors file with its bytes. */
export interface Stored {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export type Tensors = Map<string, Stored>;

export function readTensors(path: string): Tensors {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const { __metadata__, ...header } = JSON.parse(file.subarray(8, 8 + length).toString());
  const tensors: Tensors = new Map();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries<{
    dtype: string;
    shape: number[];
    data_offsets: [number, number];
  }>(header)) {
    const [from, to] = data_offsets;
    tensors.set(name, { dtype, shape, bytes: file.subarray(8 + length + from, 8 + length + to) });
  }
  return tensors;
}

export function writeTensors(path: string, tensors: Tensors): void {
  let at = 0;
  const header = Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, bytes }]) => {
      const from = at;
      at += bytes.length;
      return [name, { dtype, shape, data_offsets: [from, at] }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, ...[...tensors.values()].map(({ bytes }) => bytes)]));
}

/** What is done to a checkpoint; `config` is config.json. */
export interface Changes {
  readonly tensors?: (tensors: Tensors) => Tensors;
  readonly config?: (config: Record<string, unknown>) => object;
}

/** A copy of a folder of one model.safetensors, changed. */
export function changedCheckpoint(from: string, to: string, changes: Changes): string {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if (name === "model.safetensors" && changes.tensors !== undefined) {
      writeTensors(target, changes.tensors(readTensors(source)));
    } else if (name === "config.json" && changes.config !== undefined) {
      writeFileSync(target, JSON.stringify(changes.config(JSON.parse(readFileSync(source, "utf8")))));
    } else writeFileSync(target, readFileSync(source));
  }
  return to;
}

/** The matrix with its rows in reverse. */
export function rowsReversed({ dtype, shape, bytes }: Stored): Stored {
  const [rows] = shape as [number];
  const row = bytes.length / rows;
  const turned = new Uint8Array(bytes.length);
  for (let i = 0; i < rows; i++) turned.set(bytes.subarray(i * row, (i + 1) * row), (rows - 1 - i) * row);
  return { dtype, shape, bytes: turned };
}
