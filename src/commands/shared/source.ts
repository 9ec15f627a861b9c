import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { Container } from "../../../formats/container.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { openContainer } from "../../../formats/open.js";
import { fetchHeaders, type HeaderOptions } from "../../hub/fetch-headers.js";
import { type FetchOptions, fetchModel } from "../../hub/fetch-model.js";
import { type HubReference, isHubReference, parseHubReference } from "../../hub/reference.js";
import { readHubSettings } from "../../hub/settings.js";
import { t } from "../../language/t.js";
import { parseLora, withLora } from "../../lora.js";
import { type Model, noSuchModel, openModel } from "../../model.js";
import { type Outline, openOutline } from "../../outline.js";
import { checkOutputs } from "../../run/write/claim.js";
import { createProgress, formatBytes, interruptible, warn } from "../../ui.js";

/** What `<model>` may be, for the help of every command that takes one. */
export const MODEL_ARGUMENT = t`GGUF file, model folder of Hugging Face or Meta, checkpoint file, or hf:owner/name[/file.gguf][@revision]`;

export interface SourceOptions {
  /** No progress. */
  readonly json?: boolean | undefined;
  /** What is to be made of the model: refused before anything is fetched if it cannot be written. */
  readonly output?: string | undefined;
  readonly force?: boolean | undefined;
  /** Adapters to merge, as `--lora` has them. */
  readonly lora?: readonly string[] | undefined;
}

/** Opens what a user calls a model: a path, or `hf:...`, which is fetched into the Hugging Face cache first. */
export async function openSource(text: string, options: SourceOptions = {}): Promise<Model> {
  const loras = (options.lora ?? []).map(parseLora);
  return withLora(await openBase(text, options), loras);
}

async function openBase(text: string, options: SourceOptions): Promise<Model> {
  const model = openLanguageModel(await fetchSource(text, options));
  return isHubReference(text) ? called(model, text, parseHubReference(text)) : model;
}

/** Where a model is on this machine: `hf:...` is fetched first. @throws LlqError `bad-input` when there is nothing */
export async function fetchSource(text: string, options: SourceOptions): Promise<string> {
  if (!isHubReference(text)) {
    if (!existsSync(text)) throw noSuchModel(text);
    return text;
  }
  const { output, force = false } = options;
  if (output !== undefined) checkOutputs([output], { force });
  const reference = parseHubReference(text);
  const { path } = await withProgress(text, options, (each) =>
    fetchModel(reference, readHubSettings(), each),
  );
  return path;
}

/** The same for looking at: of `hf:...` only what describes it is fetched, and weights must not be read. */
export async function describeSource(text: string, options: SourceOptions = {}): Promise<Model> {
  if (!isHubReference(text)) return openLanguageModel(text);
  const reference = parseHubReference(text);
  return fromHeaders(text, reference, "all", options, (path) => {
    const model = called(openLanguageModel(path), text, reference);
    const files = model.container.files.map(
      (file) => `hf:${reference.owner}/${reference.name}/${basename(file)}`,
    );
    return { ...model, container: { ...model.container, files } };
  });
}

/** A container to look at; of `hf:...` headers alone are fetched. */
export async function describeContainer(text: string, options: SourceOptions = {}): Promise<Container> {
  if (!isHubReference(text)) return openContainer(await fetchSource(text, options));
  return fromHeaders(text, parseHubReference(text), "all", options, openContainer);
}

/** Says how a checkpoint is read where that is not plain, and what of it is no part of the model. */
function openLanguageModel(path: string): Model {
  const model = openModel(path);
  for (const remark of model.remarks) warn(remark);
  const others = model.container.leftOut ?? [];
  const parts = [...new Set(others.map((name) => name.replace(/^model\./, "").replace(/\.(?!\d).*/s, "")))];
  if (others.length > 0) {
    warn(
      t`${path}: only the language model is read; left out are ${others.length} tensors of ${parts.join(", ")}`,
    );
  }
  return model;
}

/** The outline of what a user calls a model; of `hf:...` config.json or a GGUF header is fetched. */
export async function openOutlineSource(text: string, options: SourceOptions = {}): Promise<Outline> {
  if (!isHubReference(text)) return openOutline(text);
  const open = (path: string) => ({ ...openOutline(path), path: text });
  return fromHeaders(text, parseHubReference(text), "config", options, open);
}

async function fromHeaders<T>(
  text: string,
  reference: HubReference,
  others: HeaderOptions["others"],
  options: SourceOptions,
  open: (path: string) => T,
): Promise<T> {
  const fetched = await withProgress(text, options, (each) =>
    fetchHeaders(reference, readHubSettings(), { ...each, others }),
  );
  try {
    return open(fetched.path);
  } finally {
    fetched.discard();
  }
}

/** Runs `fetch` with progress on stderr and stops it on Ctrl-C. */
async function withProgress<T>(
  text: string,
  { json }: SourceOptions,
  fetch: (options: FetchOptions) => Promise<T>,
): Promise<T> {
  const progress = createProgress(t`fetch ${text}`, json);
  const started = performance.now();
  let first: number | undefined;
  const onProgress = (done: number, total: number) => {
    first ??= done;
    const speed = ((done - first) * 1000) / (performance.now() - started);
    progress.update(done, total, `${formatBytes(Math.round(speed))}/s`);
  };
  return interruptible((signal) => fetch({ signal, onProgress, onRemark: warn })).finally(() =>
    progress.stop(),
  );
}

/** The model by the name the user knows: the cache's folders are called by commits. */
function called(model: Model, path: string, { name }: HubReference): Model {
  if (model.folder === undefined) return { ...model, path };
  return { ...model, path, metadata: new Map(model.metadata).set("general.name", meta.string(name)) };
}
