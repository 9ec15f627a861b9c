import { badInput, LlqError, nearest } from "../../formats/errors.js";
import { t } from "../language/t.js";

/** What of a repository makes up a model. */
export interface Selection {
  /** Paths of the files that hold weights or say where they are. */
  readonly weights: readonly string[];
  /** Paths of the configuration and the tokenizer. */
  readonly others: readonly string[];
  /** What is to be opened: a file, or the folder that all of it is in (empty for the root). */
  readonly open: string;
}

/** Forms that weights come in, the best first: of each, the one file or the index, and how its parts are named. */
const FORMS: readonly { readonly whole: RegExp; readonly index?: RegExp; readonly parts?: RegExp }[] = [
  {
    whole: /^model\.safetensors$/,
    index: /^model\.safetensors\.index\.json$/,
    parts: /^model-\d+-of-\d+\.safetensors$/,
  },
  {
    whole: /^pytorch_model\.bin$/,
    index: /^pytorch_model\.bin\.index\.json$/,
    parts: /^pytorch_model-\d+-of-\d+\.bin$/,
  },
  { whole: /^consolidated\.00\.pth?$/, index: /^params\.json$/, parts: /^consolidated\.\d\d\.pth?$/ },
  {
    whole: /^consolidated\.safetensors$/,
    index: /^params\.json$/,
    parts: /^consolidated-\d{5}-of-\d{5}\.safetensors$/,
  },
  {
    whole: /^flax_model\.msgpack$/,
    index: /^flax_model\.msgpack\.index\.json$/,
    parts: /^flax_model-\d+-of-\d+\.msgpack$/,
  },
];

/** Everything that readers of configurations and tokenizers may want. */
const OTHERS = new RegExp(
  `^(${[
    "config|generation_config|params|quantize_config|quant_config|hf_quant_config|adapter_config",
    "tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template|tekken",
  ].join(
    "|",
  )})\\.json$|^merges\\.txt$|^tokenizer\\.bin$|^(additional_chat_templates/[^/]+|chat_template)\\.jinja$|\\.(model|tiktoken)$|^tokenizer\\.model\\.v\\d+(m\\d+)?$`,
);

const GGUF_PART = /^(.*)-\d{5}-of-(\d{5})\.gguf$/s;

/**
 * The files that are needed of those a repository has, at `path`: a file, a folder, or empty for the root.
 * @param shown the reference as the user wrote it
 * @throws LlqError `bad-input` when `path` is not there or no model is, or several are
 */
export function selectFiles(shown: string, files: readonly string[], path: string): Selection {
  if (files.includes(path)) return selectFile(files, path);
  const inside = path === "" ? files : files.filter((file) => file.startsWith(`${path}/`));
  if (path !== "" && inside.length === 0) {
    const near = nearest(path, files);
    throw badInput(t`${shown}: there is no ${path} in the repository`, near && t`did you mean ${near}?`);
  }
  const names = inside
    .map((file) => file.slice(path === "" ? 0 : path.length + 1))
    .filter((n) => !n.includes("/") || n.startsWith("additional_chat_templates/"));
  const at = (name: string) => (path === "" ? name : `${path}/${name}`);
  const weights = chooseWeights(names);
  if (weights !== undefined) {
    const others = names.filter((name) => OTHERS.test(name) && !weights.includes(name));
    return { weights: weights.map(at), others: others.map(at), open: path };
  }
  return selectGguf(shown, inside, names.filter((name) => OTHERS.test(name)).map(at), path);
}

function chooseWeights(names: readonly string[]): string[] | undefined {
  for (const { whole, index, parts } of FORMS) {
    const single = names.find((name) => whole.test(name));
    const shards = parts === undefined ? [] : names.filter((name) => parts.test(name));
    const list = index && names.find((name) => index.test(name));
    if (list !== undefined && shards.length > 0) return [list, ...shards];
    if (single !== undefined) return [single];
  }
  return undefined;
}

/** One file: with its other parts, or with the configuration beside it where it has none of its own. */
function selectFile(files: readonly string[], path: string): Selection {
  if (path.endsWith(".gguf")) return { weights: ggufParts(files, path), others: [], open: path };
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const beside = files.filter((file) => file.startsWith(folder) && OTHERS.test(file.slice(folder.length)));
  return { weights: [path], others: beside.filter((file) => file !== path), open: path };
}

function ggufParts(files: readonly string[], path: string): string[] {
  const [, stem, count] = GGUF_PART.exec(path) ?? [];
  if (stem === undefined) return [path];
  return files.filter((file) => {
    const [, otherStem, otherCount] = GGUF_PART.exec(file) ?? [];
    return otherStem === stem && otherCount === count;
  });
}

function selectGguf(
  shown: string,
  files: readonly string[],
  others: readonly string[],
  path: string,
): Selection {
  const models = files.filter(
    (file) => file.endsWith(".gguf") && isFirstPart(file) && !/(^|\/)mmproj/.test(file),
  );
  if (models.length === 1) return selectFile(files, models[0]!);
  if (models.length > 1) {
    const [reference, revision = ""] = shown.split(/(?=@)/);
    const list = models.slice(0, 12).map((file) => file.slice(path === "" ? 0 : path.length + 1));
    const more = models.length > list.length ? t` and ${models.length - list.length} more` : "";
    const hint = t`${reference}/<file>${revision} with one of ${list.join(", ")}${more}`;
    throw badInput(t`${shown}: has ${models.length} GGUF files`, hint);
  }
  if (others.some((file) => /(^|\/)(config|params)\.json$/.test(file)))
    return { weights: [], others, open: path };
  throw new LlqError("bad-input", t`${shown}: no model in this repository`, {
    hint: t`looked for safetensors, PyTorch, Meta and Flax weights, and for GGUF files`,
  });
}

function isFirstPart(file: string): boolean {
  const [, , count] = GGUF_PART.exec(file) ?? [];
  return count === undefined || file.endsWith(`-00001-of-${count}.gguf`);
}
