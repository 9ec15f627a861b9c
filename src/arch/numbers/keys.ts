import type { Metadata, MetaField } from "../../../formats/container.js";
import { badInput, type LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";

/** Typed access to metadata, with the model's name in every message. */
export class KeyReader {
  readonly name: string;
  readonly metadata: Metadata;

  constructor(name: string, metadata: Metadata) {
    this.name = name;
    this.metadata = metadata;
  }

  /** A whole number above 0; or `fallback` when the key is absent. */
  count(key: string, fallback?: number): number {
    const value = this.#number(key, fallback);
    if (!Number.isSafeInteger(value) || value < 0 || (value === 0 && fallback !== 0)) {
      throw badInput(t`${this.name}: ${key} would be ${value}, which is no count`);
    }
    return value;
  }

  /**
   * A whole number for each of `layers`, 0 included, of a key that has one for each or one for all; `fallback` for all
   * when the key is absent.
   */
  counts(key: string, layers: number, fallback?: number): number[] {
    const value = this.metadata.get(key)?.value;
    if (!Array.isArray(value)) return new Array(layers).fill(this.count(key, fallback));
    const counts = value.map(Number);
    const odd = counts.find((each) => !Number.isSafeInteger(each) || each < 0);
    if (odd !== undefined) throw badInput(t`${this.name}: ${key} has ${odd}, which is no count`);
    if (counts.length === layers) return counts;
    throw badInput(t`${this.name}: ${key} has ${counts.length} values for ${layers} layers`);
  }

  /** Whether it holds for each of `layers`; undefined when the key is absent or no list. */
  flags(key: string, layers: number): boolean[] | undefined {
    const value = this.metadata.get(key)?.value;
    if (!Array.isArray(value)) return undefined;
    if (value.length === layers) return value.map(Boolean);
    throw badInput(t`${this.name}: ${key} has ${value.length} values for ${layers} layers`);
  }

  /** Undefined when the key is absent. */
  flag(key: string): boolean | undefined {
    const field = this.metadata.get(key);
    if (field === undefined || typeof field.value === "boolean") return field?.value as boolean | undefined;
    throw this.#unusable(key, field, t`true or false`);
  }

  /** One for each of `layers`, or one for all; undefined when the key is absent. */
  numbers(key: string, layers: number): readonly number[] | undefined {
    const value = this.metadata.get(key)?.value;
    if (value === undefined) return undefined;
    const values: readonly unknown[] = Array.isArray(value) ? value : new Array(layers).fill(value);
    if (values.length !== layers) {
      throw badInput(t`${this.name}: ${key} has ${values.length} values for ${layers} layers`);
    }
    if (values.every((each) => typeof each === "number")) return values;
    throw this.#unusable(key, this.metadata.get(key), t`numbers`);
  }

  positive(key: string, fallback?: number): number {
    const value = this.#number(key, fallback);
    if (value > 0 && value < Number.POSITIVE_INFINITY) return value;
    throw badInput(t`${this.name}: ${key} is ${value}; a positive number is needed`);
  }

  /** A positive number; undefined when the key is absent or 0. */
  optional(key: string): number | undefined {
    const value = this.#number(key, 0);
    return value === 0 ? undefined : this.positive(key);
  }

  string(key: string, fallback?: string): string {
    const field = this.metadata.get(key);
    if (field === undefined && fallback !== undefined) return fallback;
    if (typeof field?.value === "string") return field.value;
    throw this.#unusable(key, field, t`text`);
  }

  #number(key: string, fallback: number | undefined): number {
    const field = this.metadata.get(key);
    if (field === undefined && fallback !== undefined) return fallback;
    // Some keys may hold one value a layer; one that is the same everywhere is as good as a number.
    const value = Array.isArray(field?.value) ? uniform(field.value) : field?.value;
    if (typeof value === "bigint") return Number(value);
    if (typeof value === "number") return value;
    throw this.#unusable(key, field, t`a number`);
  }

  #unusable(key: string, field: MetaField | undefined, wanted: string): LlqError {
    const found = field === undefined ? t`is missing` : t`is of type ${field.type}`;
    return badInput(t`${this.name}: metadata key ${key} ${found}; ${wanted} is needed`);
  }
}

function uniform(values: readonly unknown[]): unknown {
  return values.every((value) => value === values[0]) ? values[0] : undefined;
}
