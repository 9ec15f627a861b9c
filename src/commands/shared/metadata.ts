import type { Metadata, MetaField, MetaType, MetaValue } from "../../../formats/container.js";
import { LlqError, nearest } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { VALUE } from "../../report/documents/look.js";
import { printJson, printLine } from "../../ui.js";

/** Items of an array that are shown where all would be too many. */
const FEW = 16;

/**
 * The number that a person would have written: of those that become the same f32, the one with the fewest digits, such as
 * 0.00001 for 0.000009999999747378752. Others stay as they are.
 */
export function asWritten(value: number): number {
  if (Math.fround(value) !== value || Number.isSafeInteger(value)) return value;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

/** A number as text: small and large ones with an exponent, such as 1e-05. */
export function numberText(value: number): string {
  const text = String(asWritten(value));
  const isSmall = value !== 0 && Math.abs(value) < 1e-4;
  if (!isSmall && !text.includes("e")) return text;
  const [digits, exponent] = asWritten(value).toExponential().split("e");
  return `${digits}e${exponent![0]}${exponent!.slice(1).padStart(2, "0")}`;
}

/** A value for JSON: numbers as written, those beyond 2^53 as text. */
function plainValue(value: MetaValue): unknown {
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  return typeof value === "number" ? asWritten(value) : value;
}

/** The same with long arrays (the vocabulary) as their length. */
export function shortValue(field: MetaField): unknown {
  const { item, value, isLong } = lookAt(field);
  return isLong ? `${lengthOf(field)} x ${item}` : plainValue(value());
}

function lookAt(field: MetaField) {
  const isLong = field.type === "array" && lengthOf(field) > FEW;
  return { item: field.item, isLong, value: () => field.value }; // decoded when it is asked for
}

function lengthOf(field: MetaField): number {
  return field.count ?? (field.value as readonly MetaValue[]).length;
}

/** Rows of a table of keys and values. */
export function metadataRows(metadata: Metadata): string[][] {
  return [...metadata].map(([key, field]) => {
    const { isLong, item, value } = lookAt(field);
    const text = isLong ? `${lengthOf(field)} x ${item}` : valueText(value());
    return [key, text.length > 80 ? `${text.slice(0, 77)}...` : text];
  });
}

/** As JSON has it, but for small numbers, and for integers beyond 2^53, which keep all their digits. */
function valueText(value: MetaValue): string {
  if (Array.isArray(value)) return `[${value.map(valueText).join(",")}]`;
  if (typeof value === "number") return numberText(value);
  return typeof value === "bigint" ? String(value) : JSON.stringify(value);
}

/** What a type is called, such as `u32` or `string[]`. */
export function typeText({ type, item }: MetaField): string {
  return type === "array" ? `${item as MetaType}[]` : type;
}

/** Prints what one key says. @throws LlqError `usage` when there is no such key */
export function printKey(path: string, metadata: Metadata, key: string, json = false): void {
  const field = findKey(path, metadata, key);
  const { value } = field;
  if (!json) printValue(field);
  else {
    const type = typeText(field);
    printJson<typeof VALUE>({ schema: 1, path, key, type, value: plainValue(value) });
  }
}

function findKey(path: string, metadata: Metadata, key: string): MetaField {
  const field = metadata.get(key);
  if (field !== undefined) return field;
  const near = nearest(key, metadata.keys());
  throw new LlqError("usage", t`${path}: has no key ${key}`, {
    hint: near === undefined ? t`llq meta lists what there is` : t`did you mean ${near}?`,
  });
}

/** One value alone, for scripts: text with its lines, a list as JSON. */
function printValue({ value }: MetaField): void {
  if (typeof value === "string") for (const line of value.replace(/\n$/, "").split("\n")) printLine(line);
  else printLine(valueText(value));
}
