import { Command } from "commander";
import type { Metadata, MetaField } from "../../formats/container.js";
import { byteLength, elementCount } from "../../formats/dtype.js";
import type { Model } from "../model.js";
import { storedType } from "../rows/packed/index.js";
import type { Tensor } from "../tensor.js";
import { formatBytes, formatCount, printJson, printLine, printTable } from "../ui.js";
import { jsonOption } from "./shared/options.js";
import { describeSource, MODEL_ARGUMENT } from "./shared/source.js";

export const inspectCommand = new Command("inspect")
  .summary("show what is in a model")
  .description(
    "Show a model's format, architecture, hyperparameters, tokenizer and tensors. Reads no weights.",
  )
  .argument("<model>", MODEL_ARGUMENT)
  .addOption(jsonOption())
  .addHelpText("after", "\nExamples:\n  llq inspect llama-1b-q4.gguf\n  llq inspect ./Llama-3.2-1B --json")
  .action(async (path: string, options: { json?: boolean }) => {
    const model = await describeSource(path, options);
    if (options.json) printJson(describe(model));
    else printModel(model);
  });

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
    schema: 1,
    path: model.path,
    format: model.container.format,
    files: model.container.files,
    architecture: model.architecture.name,
    hparams: model.hparams,
    tokenizer: { kind: model.vocab.kind, pre: model.vocab.pre, tokens: model.vocab.tokens.length },
    metadata: Object.fromEntries([...model.metadata].map(([key, field]) => [key, shown(field)])),
    totals: { tensors: tensors.length, elements, byteLength: bytes, bitsPerWeight: (bytes * 8) / elements },
    tensors,
  };
}

/** Bytes in the files; of a packed tensor without its scales. */
function storedBytes({ dtype, shape, sources }: Tensor): number {
  const packed = sources.filter(({ coded }) => coded !== undefined);
  return packed.length === 0
    ? byteLength(dtype, shape)
    : packed.reduce((sum, each) => sum + each.byteLength, 0);
}

/** Long arrays (the vocabulary) as their length. */
function shown(field: MetaField): unknown {
  const { type, item, count } = field;
  if (type === "array" && count !== undefined && count > 16) return `${count} x ${item}`;
  const { value } = field; // decoded when it is asked for
  if (type === "array" && typeof value === "object" && value.length > 16) return `${value.length} x ${item}`;
  return typeof value === "bigint" ? Number(value) : value;
}

function printModel(model: Model): void {
  const { totals, tensors, tokenizer } = describe(model);
  printLine(
    `${model.path}: ${model.container.format}, ${model.container.files.length} file(s), ${model.architecture.name}`,
  );
  printLine(
    `${formatCount(totals.elements)} weights, ${formatBytes(totals.byteLength)}, ${totals.bitsPerWeight.toFixed(2)} bits per weight`,
  );
  printLine(`tokenizer: ${tokenizer.kind}, ${tokenizer.tokens} tokens, pre-tokenizer ${tokenizer.pre}`);
  printLine();
  printTable(["key", "value"], metadataRows(model.metadata));
  const types = typeTotals(tensors);
  const typeRows = types.map((t) => [
    t.dtype,
    String(t.tensors),
    formatCount(t.elements),
    formatBytes(t.byteLength),
  ]);
  printLine();
  printTable(["type", "tensors", "weights", "size"], typeRows);
  const rows = tensors.map((t) => [t.name, t.dtype, t.shape.join(" x "), formatBytes(t.byteLength)]);
  printLine();
  printTable(["tensor", "type", "shape", "size"], rows);
}

function metadataRows(metadata: Metadata): string[][] {
  return [...metadata].map(([key, field]) => {
    const text = JSON.stringify(shown(field));
    return [key, text.length > 80 ? `${text.slice(0, 77)}...` : text];
  });
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
