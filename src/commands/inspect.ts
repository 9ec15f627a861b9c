import { Command, Option } from "commander";
import { byteLength, elementCount } from "../../formats/dtype.js";
import { LlqError } from "../../formats/errors.js";
import { escapeMarkdown } from "../escape.js";
import { t } from "../language/t.js";
import type { Model } from "../model.js";
import { globToRegExp } from "../quant/recipes/override.js";
import type { INSPECTED } from "../report/documents/look.js";
import { storedType } from "../rows/packed/index.js";
import type { Tensor } from "../tensor.js";
import { formatBytes, formatCount, printJson, printLine, printTable } from "../ui.js";
import { asWritten, metadataRows, printKey, shortValue } from "./shared/metadata.js";
import { jsonOption } from "./shared/options.js";
import { describeSource, MODEL_ARGUMENT } from "./shared/source.js";

export const inspectCommand = new Command("inspect")
  .summary(t`show what is in a model`)
  .description(
    t`Show a model's format, architecture, hyperparameters, tokenizer and tensors. Reads no weights.`,
  )
  .argument("<model>", MODEL_ARGUMENT)
  .addOption(new Option("-k, --key <key>", t`print one value of the metadata alone, arrays in full`))
  .addOption(new Option("--tensors <glob>", t`only tensors of that role, or whose name fits`))
  .addOption(new Option("--no-tensors", t`no list of tensors`))
  .addOption(new Option("--markdown", t`print Markdown`).conflicts("json"))
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq inspect llama-1b-q4.gguf
  llq inspect ./Llama-3.2-1B --json
  llq inspect llama-1b-q4.gguf --key llama.rope.freq_base
  llq inspect llama-1b-q4.gguf --tensors 'blk.0.*'
  llq inspect llama-1b-q4.gguf --no-tensors --markdown >> README.md`,
  )
  .action(async (path: string, options: InspectOptions) => {
    const { json, key, tensors: wanted } = options;
    const names = typeof wanted === "string" ? parseTensors(wanted) : undefined;
    const model = await describeSource(path, options).catch((error: unknown) => {
      throw withMetaHint(error, path);
    });
    if (key !== undefined) {
      printKey(path, model.metadata, key, json);
      return;
    }
    const description = describe(model);
    const listed = wanted === false ? [] : description.tensors.filter((tensor) => names?.(tensor) ?? true);
    if (names !== undefined && listed.length === 0) {
      const hint = t`roles: ${[...new Set(description.tensors.map(({ role }) => role))].join(", ")}`;
      throw new LlqError("usage", t`--tensors ${wanted} fits no tensor of ${path}`, { hint });
    }
    if (json) printJson<typeof INSPECTED>({ ...description, tensors: listed });
    else printModel(model, description, listed, options.markdown ? markdownOut : textOut);
  });

/** Of a GGUF that holds no model that is known, what it says can be listed all the same. */
function withMetaHint(error: unknown, path: string): unknown {
  if (!(error instanceof LlqError) || !path.includes(".gguf")) return error;
  if (error.code !== "unsupported" && !error.message.includes("general.architecture")) return error;
  const hint = t`${error.hint === undefined ? "" : `${error.hint}; `}llq meta ${path} lists its metadata`;
  return new LlqError(error.code, error.message, { hint, cause: error });
}

interface InspectOptions {
  readonly key?: string;
  /** false: none */
  readonly tensors?: string | boolean;
  readonly markdown?: boolean;
  readonly json?: boolean;
}

function parseTensors(
  pattern: string,
): (tensor: { readonly name: string; readonly role: string }) => boolean {
  const names = globToRegExp(pattern, "--tensors");
  return ({ name, role }) => role === pattern || names.test(name);
}

interface TypeTotal {
  readonly dtype: string;
  readonly tensors: number;
  readonly elements: number;
  readonly byteLength: number;
}

function describe(model: Model) {
  const tensors = model.tensors.map((tensor) => ({
    name: tensor.name,
    role: tensor.role,
    shape: tensor.shape,
    dtype: storedType(tensor),
    byteLength: storedBytes(tensor),
  }));
  const elements = tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0);
  return {
    schema: 1 as const,
    path: model.path,
    format: model.container.format,
    files: model.container.files,
    architecture: model.architecture.name,
    hparams: writtenNumbers(model.hparams),
    tokenizer: { kind: model.vocab.kind, pre: model.vocab.pre, tokens: model.vocab.tokens.length },
    metadata: Object.fromEntries([...model.metadata].map(([key, field]) => [key, shortValue(field)])),
    totals: { tensors: tensors.length, elements, byteLength: bytes, bitsPerWeight: (bytes * 8) / elements },
    tensors,
  };
}

/** Numbers read as f32, as a person would write them. */
function writtenNumbers<T extends object>(value: T): T {
  const text = JSON.stringify(value, (_, each) => (typeof each === "number" ? asWritten(each) : each));
  return JSON.parse(text);
}

/** Bytes in the files; of a packed tensor without its scales. */
function storedBytes({ dtype, shape, sources }: Tensor): number {
  const packed = sources.filter(({ coded }) => coded !== undefined);
  return packed.length === 0
    ? byteLength(dtype, shape)
    : packed.reduce((sum, each) => sum + each.byteLength, 0);
}

/** Lines and tables on stdout, one form or another. */
interface Out {
  readonly line: (text: string) => void;
  readonly table: (header: readonly string[], rows: readonly (readonly string[])[]) => void;
}

const textOut: Out = {
  line: printLine,
  table(header, rows) {
    printLine();
    printTable(header, rows);
  },
};

const markdownOut: Out = {
  line(text) {
    printLine(escapeMarkdown(text));
    printLine();
  },
  table(header, rows) {
    if (rows.length === 0) return;
    for (const row of [header, header.map(() => "---"), ...rows.map((cells) => cells.map(escapeMarkdown))]) {
      printLine(`| ${row.join(" | ")} |`);
    }
    printLine();
  },
};

function printModel(
  model: Model,
  { totals, tensors, tokenizer }: ReturnType<typeof describe>,
  listed: ReturnType<typeof describe>["tensors"],
  out: Out,
): void {
  out.line(
    t`${model.path}: ${model.container.format}, ${model.container.files.length} file(s), ${model.architecture.name}`,
  );
  out.line(
    t`${formatCount(totals.elements)} weights, ${formatBytes(totals.byteLength)}, ${totals.bitsPerWeight.toFixed(2)} bits per weight`,
  );
  out.line(t`tokenizer: ${tokenizer.kind}, ${tokenizer.tokens} tokens, pre-tokenizer ${tokenizer.pre}`);
  out.table([t`key`, t`value`], metadataRows(model.metadata));
  const types = typeTotals(tensors).map((of) => [
    ...[of.dtype, String(of.tensors), formatCount(of.elements), formatBytes(of.byteLength)],
  ]);
  out.table([t`type`, t`tensors`, t`weights`, t`size`], types);
  if (listed.length === 0) return;
  const rows = listed.map((of) => [of.name, of.dtype, of.shape.join(" x "), formatBytes(of.byteLength)]);
  out.table([t`tensor`, t`type`, t`shape`, t`size`], rows);
}

function typeTotals(
  tensors: readonly { dtype: string; shape: readonly number[]; byteLength: number }[],
): TypeTotal[] {
  const totals = new Map<string, TypeTotal>();
  for (const { dtype, shape, byteLength } of tensors) {
    const { tensors: n = 0, elements = 0, byteLength: bytes = 0 } = totals.get(dtype) ?? {};
    totals.set(dtype, {
      dtype,
      tensors: n + 1,
      elements: elements + elementCount(shape),
      byteLength: bytes + byteLength,
    });
  }
  return [...totals.values()];
}
