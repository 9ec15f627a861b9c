import { existsSync, join, statSync } from "#host/files";
import { listFolder, withFile } from "../formats/bytes.js";
import type { Container, Metadata } from "../formats/container.js";
import { GGUF_MAGIC, readGguf } from "../formats/gguf/gguf.js";
import { joinSplit } from "../formats/gguf/gguf-split.js";
import { meta } from "../formats/gguf/gguf-write.js";
import { findWeights, openContainer } from "../formats/open.js";
import type { Architecture } from "./arch/architecture.js";
import { bindHuggingFace } from "./arch/bind.js";
import { withoutMultiToken } from "./arch/checkpoint/multi-token.js";
import { textConfig } from "./arch/checkpoint/text-config.js";
import { type HParams, readHParams } from "./arch/hparams.js";
import { architectureOfConfig } from "./arch/index.js";
import { type OutlineTensor, outlineTensors } from "./arch/outline.js";
import { describedTensors, folderWeights, noSuchModel, openModel, readConfig } from "./model.js";

/** What can be known of a model without its weights and its tokenizer. */
export interface Outline {
  /** What the user called it. */
  readonly path: string;
  readonly architecture: Architecture;
  readonly hparams: HParams;
  /** The shape of each, and the type it is stored in. */
  readonly tensors: readonly OutlineTensor[];
  /** The file, of a GGUF. */
  readonly container?: Container;
  /** Whether the tensors are stored anywhere; else their types mean nothing. */
  readonly stored: boolean;
}

/**
 * The outline of a Hugging Face folder, of which config.json suffices, of a GGUF file, of which the header
 * suffices, or of anything else that openModel takes.
 * @throws LlqError as openModel
 */
export function openOutline(path: string): Outline {
  const names = listFolder(path) ?? [];
  const config = join(path, "config.json");
  if (names.includes("config.json")) {
    const json = readConfig(path, config);
    const hasWeights = findWeights(names) !== undefined;
    return configOutline(
      path,
      config,
      json,
      hasWeights
        ? folderWeights(openContainer(path), config, json, architectureOfConfig(config, json))
        : undefined,
    );
  }
  return isGguf(path) ? ggufOutline(path) : { ...openModel(path), stored: true };
}

/**
 * The outline of a model with this config.json. `file` is what messages call it. Which tensors there are, the
 * container says, if there is one.
 */
export function configOutline(path: string, file: string, whole: unknown, container?: Container): Outline {
  const json = textConfig(whole);
  const architecture = architectureOfConfig(file, json);
  const config = architecture.read(file, json);
  const metadata: Metadata = new Map([
    ["general.architecture", meta.string(architecture.name)],
    [`${architecture.name}.vocab_size`, meta.u32(config.vocabSize)],
    ...config.keys.map(([key, field]) => [`${architecture.name}.${key}`, field] as const),
  ]);
  const hparams = readHParams(file, metadata);
  const tensors =
    container === undefined
      ? outlineTensors(architecture, hparams, config)
      : bindHuggingFace(architecture, hparams, container, config);
  return { path, architecture, hparams, tensors, stored: container !== undefined };
}

function isGguf(path: string): boolean {
  if (!existsSync(path)) throw noSuchModel(path);
  if (statSync(path).isDirectory()) return false;
  return withFile(path, (source) => {
    const start = source.read(0, Math.min(4, source.byteLength));
    return start.length === 4 && new DataView(start.buffer).getUint32(0, true) === GGUF_MAGIC;
  });
}

function ggufOutline(path: string): Outline {
  const options = { headerOnly: true };
  const parts = withFile(path, (source) => readGguf(source, options));
  const container = withoutMultiToken(joinSplit(parts, options));
  return { path, ...describedTensors(path, container, container.metadata), stored: true, container };
}
