import type { Container, Metadata } from "../../formats/container.js";
import { dtype, elementCount } from "../../formats/dtype.js";
import { escapeMarkdown } from "../escape.js";
import { RECIPES } from "../quant/recipes/recipes.js";
import { formatBytes, formatCount } from "../ui.js";
import { VERSION } from "../version.js";

/** A GGUF of a card. */
export interface CardFile {
  readonly container: Container;
  /** Its files in the repository: one, or as many as the model is cut into. */
  readonly parts: readonly { readonly path: string; readonly byteLength: number; readonly sha256: string }[];
  /** Of its tensors alone, as gguf-hash and `llq hash` have it. */
  readonly tensorsSha256: string;
}

/** What was measured of a file; each that is known. */
export interface Measured {
  /** The file's own name. */
  readonly name: string;
  readonly perplexity?: number | undefined;
  readonly perplexityError?: number | undefined;
  /** From the base, in nats. */
  readonly kld?: number | undefined;
  readonly kldError?: number | undefined;
  /** Share of tokens at which both have the same likeliest token. */
  readonly sameTop?: number | undefined;
}

export interface CardOptions {
  /** `owner/name` of the repository. */
  readonly repository: string;
  /** The model that the files were made from, `owner/name`, or what is known of it. */
  readonly base?: string | undefined;
  readonly measured: readonly Measured[];
  /** On what and how it was measured. */
  readonly extents: readonly string[];
}

const NONE = "–";

/** A model card in Markdown, with the Hub's header: what files there are, how good they are, and how to get and check them. */
export function modelCard(files: readonly CardFile[], options: CardOptions): string {
  const { metadata } = files[0]!.container;
  const base = options.base ?? baseOf(metadata);
  const name = textOf(metadata, "general.name") ?? options.repository.split("/")[1]!;
  return `${[
    header(metadata, base),
    `# ${escapeMarkdown(name)}, GGUF`,
    "",
    base === undefined ? "" : `Made from ${escapeMarkdown(base)} by llq ${VERSION}.\n`,
    ...table(files, options.measured),
    ...options.extents.map((extent) => `\n${escapeMarkdown(extent)}`),
    "",
    "## Recipe",
    "",
    ...files.map((file) => `- ${code(pathOf(file))}: ${typesOf(file.container)}`),
    "",
    "## Commands",
    "",
    "```sh",
    ...commands(files, options.repository, base),
    "```",
    "",
    "## Hashes",
    "",
    "| file | bytes | SHA-256 of the file | SHA-256 of its tensors (`llq hash`) |",
    "| --- | ---: | --- | --- |",
    ...files.flatMap(({ parts, tensorsSha256 }) =>
      parts.map(({ path, byteLength, sha256 }, i) => {
        const tensors = i === 0 ? `\`${tensorsSha256}\`` : "";
        return `| ${code(path)} | ${byteLength} | \`${sha256}\` | ${tensors} |`;
      }),
    ),
  ].join("\n")}\n`;
}

/** YAML, whose strings JSON's are. */
function header(metadata: Metadata, base: string | undefined): string {
  const license = textOf(metadata, "general.license");
  const languages = metadata.get("general.languages")?.value;
  const lines = [
    "library_name: gguf",
    "pipeline_tag: text-generation",
    ...(isRepository(base) ? [`base_model: ${JSON.stringify(base)}`, "base_model_relation: quantized"] : []),
    ...(license === undefined ? [] : [`license: ${JSON.stringify(license)}`]),
    ...(Array.isArray(languages) ? [`language: ${JSON.stringify(languages)}`] : []),
    `tags: ["gguf", "llq"]`,
  ];
  return ["---", ...lines, "---", ""].join("\n");
}

function table(files: readonly CardFile[], measured: readonly Measured[]): string[] {
  const rows = files
    .toSorted((a, b) => bytesOf(a) - bytesOf(b))
    .map((file) => {
      const { container } = file;
      const path = pathOf(file);
      const found = measured.find(({ name }) => name === baseName(path));
      const { elements, bits } = sizeOf(container);
      return [
        code(path),
        recipeOf(container.metadata) ?? NONE,
        formatBytes(bytesOf(file)),
        (bits / elements).toFixed(2),
        estimate(found?.perplexity, found?.perplexityError, 4),
        estimate(found?.kld, found?.kldError, 6),
        found?.sameTop === undefined ? NONE : `${(100 * found.sameTop).toFixed(2)} %`,
      ];
    });
  return [
    "| file | type | size | bits/weight | perplexity | mean KLD | same top |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ];
}

function estimate(value: number | undefined, error: number | undefined, digits: number): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  return error === undefined ? value.toFixed(digits) : `${value.toFixed(digits)} ± ${error.toFixed(digits)}`;
}

function commands(files: readonly CardFile[], repository: string, base: string | undefined): string[] {
  const [first] = files;
  const from = `hf:${repository}/${pathOf(first!)}`;
  const made = files.flatMap((file) => {
    const { metadata } = file.container;
    const path = pathOf(file);
    const recipe = RECIPES.find(({ name }) => name === recipeOf(metadata))?.name;
    if (recipe === undefined || !isRepository(base)) return [];
    const imatrix = textOf(metadata, "quantize.imatrix.file");
    const guided = imatrix === undefined ? "" : ` --imatrix ${quoted(imatrix)}`;
    return [`llq quantize hf:${base} -o ${quoted(baseName(path))} --type ${recipe}${guided}`];
  });
  return [
    `llq generate ${quoted(from)} "Why is the sky blue?"`,
    `llq eval-ppl ${quoted(from)} text.txt`,
    ...made,
    ...(isRepository(base) ? [`llq verify ${quoted(from)} --source ${quoted(`hf:${base}`)}`] : []),
  ].map((line) => line.replace(/[\r\n`]/g, " "));
}

function isRepository(base: string | undefined): base is string {
  return base !== undefined && /^[\w.-]+\/[\w.-]+$/.test(base);
}

function pathOf({ parts }: CardFile): string {
  return parts[0]!.path;
}

function bytesOf({ parts }: CardFile): number {
  return parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function quoted(text: string): string {
  return /^[\w./:@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function code(text: string): string {
  return `\`${text.replace(/[`|\r\n]/g, " ")}\``;
}

/** Weights by type, most first. */
function typesOf({ tensors }: Container): string {
  const sums = new Map<string, { tensors: number; elements: number }>();
  for (const { dtype, shape } of tensors.values()) {
    const sum = sums.get(dtype) ?? { tensors: 0, elements: 0 };
    sums.set(dtype, { tensors: sum.tensors + 1, elements: sum.elements + elementCount(shape) });
  }
  return [...sums]
    .sort(([, a], [, b]) => b.elements - a.elements)
    .map(([type, { tensors, elements }]) => `${type} ${tensors} tensors (${formatCount(elements)} weights)`)
    .join(", ");
}

function sizeOf({ tensors }: Container): { elements: number; bits: number } {
  let [elements, bits] = [0, 0];
  for (const tensor of tensors.values()) {
    const { typeSize, blockSize } = dtype(tensor.dtype);
    const count = elementCount(tensor.shape);
    elements += count;
    bits += (8 * typeSize * count) / blockSize;
  }
  return { elements, bits };
}

/** The mix that the file says it is of. */
function recipeOf(metadata: Metadata): string | undefined {
  const own = textOf(metadata, "llq.recipe");
  const type = metadata.get("general.file_type")?.value;
  return own ?? RECIPES.find(({ fileType }) => fileType === type)?.name;
}

function baseOf(metadata: Metadata): string | undefined {
  const url =
    textOf(metadata, "general.base_model.0.repo_url") ?? textOf(metadata, "general.source.repo_url");
  return url === undefined ? undefined : /^https:\/\/[^/]+\/([\w.-]+\/[\w.-]+)\/?$/.exec(url)?.[1];
}

function textOf(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key)?.value;
  return typeof value === "string" && value !== "" ? value : undefined;
}

function baseName(path: string): string {
  return path.split("/").at(-1)!;
}
