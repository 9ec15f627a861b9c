import { withFile } from "../../../formats/bytes.js";
import type { Coding, Container, RawSource, TensorSource } from "../../../formats/container.js";
import { elementCount } from "../../../formats/dtype.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";

const MAX_BYTES = 1 << 16;

/** The tensors of a checkpoint, while packed ones are replaced. */
export class Parts {
  readonly where: string;
  readonly #container: Container;
  readonly #tensors: Map<string, TensorSource>;
  readonly #carried = new Set<string>();

  constructor(container: Container) {
    this.where = container.files[0] ?? t`the checkpoint`;
    this.#container = container;
    this.#tensors = new Map(container.tensors);
  }

  add(name: string, source: TensorSource): void {
    if (this.#tensors.has(name)) throw badInput(t`${this.where}: ${name} is there packed and not packed`);
    this.#tensors.set(name, source);
  }

  /** Floats that belong to a packed weight: taken out of the checkpoint's own. */
  take(name: string): TensorSource | undefined {
    const found = this.#tensors.get(name);
    this.#tensors.delete(name);
    return found;
  }

  /** Floats that stay where they are. */
  peek(name: string): TensorSource | undefined {
    return this.#tensors.get(name);
  }

  /** Whether the checkpoint has a tensor of that name. */
  has(name: string): boolean {
    return this.#tensors.has(name) || this.raw(name) !== undefined;
  }

  raw(name: string): RawSource | undefined {
    return this.#container.raw?.get(name);
  }

  /** What the file's header says under a name. */
  metadata(name: string): string | undefined {
    const value = this.#container.metadata.get(name)?.value;
    return typeof value === "string" ? value : undefined;
  }

  /** What a small tensor holds that says how others are to be read. */
  bytes(name: string, { file, offset, byteLength }: RawSource): Uint8Array {
    if (byteLength > MAX_BYTES) this.fail(t`${name} has ${byteLength} bytes; at most ${MAX_BYTES} are read`);
    return withFile(this.#container.files[file]!, (source) => source.read(offset, byteLength).slice());
  }

  /** Floats of a weight, which have to be so many. */
  floats(name: string, length: number): TensorSource {
    const found = this.take(name);
    if (found === undefined) return this.fail(t`${name} is missing`);
    const count = elementCount(found.shape);
    if (count !== length) this.fail(t`${name} has ${count} numbers of ${length}`);
    return found;
  }

  /** The shape of a tensor that has to be of so many dimensions, of 32-bit integers. */
  integers(name: string, { type, shape }: RawSource, rank: number): readonly number[] {
    if (type === "I32" && shape.length === rank && shape.every((length) => length > 0)) return shape;
    return this.fail(
      t`${name} is ${type} of shape ${shape.join(" x ")}; I32 of ${rank} dimensions was expected`,
    );
  }

  /** One number that goes with a weight where there is a place for it. */
  carry(name: string): TensorSource | undefined {
    const found = this.#tensors.get(name);
    if (found === undefined || elementCount(found.shape) !== 1) return undefined;
    this.#carried.add(name);
    return { ...found, shape: [1, 1] };
  }

  /** Leaves out floats that no weight has. Those that nothing carries: */
  drop(names: RegExp): string[] {
    const dropped = [...this.#tensors.keys()].filter((name) => names.test(name));
    for (const name of dropped) this.#tensors.delete(name);
    return dropped.filter((name) => !this.#carried.has(name));
  }

  fail(message: string): never {
    throw badInput(
      `${this.where}: ${message}`,
      t`the checkpoint is incomplete, or its config.json is of another`,
    );
  }

  unsupported(what: string, known: string): never {
    throw new LlqError("unsupported", `${this.where}: ${what}`, {
      hint: t`supported: ${known}; otherwise take the original checkpoint`,
    });
  }

  container(): Container {
    return { ...this.#container, tensors: this.#tensors };
  }
}

/** A weight of that shape, decoded from what a tensor holds. */
export function codedSource<C extends Coding>(
  { file, offset, byteLength }: Pick<RawSource, "file" | "offset" | "byteLength">,
  shape: readonly number[],
  coded: C,
): TensorSource {
  return { file, offset, byteLength, dtype: "F32", shape, coded };
}

/** 4-byte words, to be read as they are. */
export function wordSource({ file, offset, byteLength, shape }: RawSource): TensorSource {
  return { file, offset, byteLength, dtype: "F32", shape };
}
