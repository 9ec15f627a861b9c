import { meta } from "../../formats/gguf-write.js";
import { fetchModel } from "../hub/fetch-model.js";
import { isHubReference, parseHubReference } from "../hub/reference.js";
import { readHubSettings } from "../hub/settings.js";
import { type Model, openModel } from "../model.js";
import { checkOutput } from "../run/output.js";
import { createProgress, formatBytes, interruptSignal, warn } from "../ui.js";

/** What `<model>` may be, for the help of every command that takes one. */
export const MODEL_ARGUMENT = "GGUF file, Hugging Face model folder, or hf:owner/name[/file.gguf][@revision]";

export interface SourceOptions {
  /** No progress. */
  readonly json?: boolean | undefined;
  /** What is to be made of the model: refused before anything is fetched if it cannot be written. */
  readonly output?: string | undefined;
  readonly force?: boolean | undefined;
}

/** Opens what a user calls a model: a path, or `hf:...`, which is fetched into the Hugging Face cache first. */
export async function openSource(text: string, options: SourceOptions = {}): Promise<Model> {
  if (!isHubReference(text)) return openModel(text);
  const reference = parseHubReference(text);
  const { json, output, force = false } = options;
  if (output !== undefined) checkOutput(output, 0, [], force);
  const progress = createProgress(`fetch ${text}`, json);
  const started = performance.now();
  let first: number | undefined;
  const onProgress = (done: number, total: number) => {
    first ??= done;
    const speed = ((done - first) * 1000) / (performance.now() - started);
    progress.update(done, total, `${formatBytes(Math.round(speed))}/s`);
  };
  const fetched = await fetchModel(reference, readHubSettings(), {
    signal: interruptSignal(),
    onProgress,
    onRemark: warn,
  }).finally(() => progress.stop());
  return called(openModel(fetched.path), text, reference.name);
}

/** The model by the name the user knows: the cache's folders are called by commits. */
function called(model: Model, path: string, name: string): Model {
  if (model.folder === undefined) return { ...model, path };
  return { ...model, path, metadata: new Map(model.metadata).set("general.name", meta.string(name)) };
}
