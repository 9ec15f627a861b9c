// docs/json.md, made of the schemas of what --json prints (npm run readme).
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { EXIT_CODE } from "../formats/errors.js";
import { DOCUMENTS } from "../src/report/documents/index.js";

/** From test/ and from dist/test/. */
const root = new URL(import.meta.url.includes("/dist/test/") ? "../.." : "..", import.meta.url);
export const JSON_PAGE = fileURLToPath(new URL("docs/json.md", `${root.href.replace(/\/?$/, "/")}`));

/** What valibot keeps of a schema, as far as it is used here. */
interface Schema {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Schema>>;
  readonly item?: Schema;
  readonly wrapped?: Schema;
  readonly value?: Schema;
  readonly literal?: unknown;
  readonly options?: readonly unknown[];
  readonly pipe?: readonly unknown[];
}

/** The field, its type and its meaning, and the same of those in it. */
function rows(path: string, schema: Schema): string[] {
  const inner = unwrapped(schema);
  const meaning = v.getDescription(schema as never) ?? v.getDescription(inner as never) ?? "";
  const shown = meaning.replaceAll("|", "\\|");
  const isOptional = schema.type === "optional";
  const own = `| \`${path}\` | ${typeOf(inner)}${isOptional ? ", may be left out" : ""} | ${shown} |`;
  const item =
    inner.type === "array"
      ? unwrapped(inner.item!)
      : inner.type === "record"
        ? unwrapped(inner.value!)
        : inner;
  const below = inner.type === "array" ? `${path}[]` : inner.type === "record" ? `${path}.*` : path;
  return [own, ...fieldsOf(item).flatMap(([key, field]) => rows(`${below}.${key}`, field))];
}

function fieldsOf({ entries = {} }: Schema): [string, Schema][] {
  return Object.entries(entries);
}

function unwrapped(schema: Schema): Schema {
  return schema.type === "optional" ? schema.wrapped! : schema;
}

function typeOf(schema: Schema): string {
  switch (schema.type) {
    case "array":
      return `array of ${typeOf(unwrapped(schema.item!))}`;
    case "strict_object":
      return "object";
    case "record":
      return `object of ${typeOf(unwrapped(schema.value!))}`;
    case "literal":
      return JSON.stringify(schema.literal);
    case "picklist":
      return schema.options!.map((option) => `\`${JSON.stringify(option)}\``).join(", ");
    case "union":
      return schema.options!.map((option) => typeOf(option as Schema)).join(" or ");
    case "nullable":
      return `${typeOf(schema.wrapped!)} or null`;
    case "unknown":
      return "any";
    default:
      return schema.type;
  }
}

export function jsonPage(): string {
  const sections = Object.entries(DOCUMENTS).map(([name, document]) => {
    const table = fieldsOf(document as unknown as Schema).flatMap(([key, field]) => rows(key, field));
    return [`## ${name}`, "", "| field | type | meaning |", "| --- | --- | --- |", ...table, ""].join("\n");
  });
  const codes = Object.entries(EXIT_CODE).map(([code, status]) => `| ${status} | \`${code}\` |`);
  return `${[
    "# What --json prints",
    "",
    "One document on stdout, and progress and warnings on stderr. A command that fails before it has a result prints the last",
    "one here; one whose result breaks a bound prints the result. Sizes are bytes, times seconds. Fields may be added; a change",
    "that a reader would stumble over raises `schema`. Numbers that are none (an infinite perplexity) are null.",
    "Fields, codes, types and keys are the same in every language; sentences (`message`, `hint`, `remarks`, reasons) are in that of",
    "`--lang` or the system, so a program that compares them sets `--lang en`.",
    "",
    "This page is made of the schemas in `src/report/documents` (`npm run readme`), against which real outputs are tested.",
    "",
    ...sections,
    "## Exit statuses",
    "",
    "| status | `error.code` |",
    "| --- | --- |",
    "| 0 | |",
    ...codes.toSorted((a, b) => Number.parseInt(a.slice(2), 10) - Number.parseInt(b.slice(2), 10)),
    "| 70 | `bug` |",
  ].join("\n")}\n`;
}
