import { alignUp } from "../../formats/bytes.js";
import type { Container, Metadata, TensorSource } from "../../formats/container.js";
import { LlqError } from "../../formats/errors.js";
import { DEFAULT_ALIGNMENT } from "../../formats/gguf/gguf.js";
import { cutBySize, partMetadata, splitPath } from "../../formats/gguf/gguf-split.js";
import { ggufHeader } from "../../formats/gguf/gguf-write.js";
import { t } from "../language/t.js";

/** A tensor's bytes on their way into another file, as they are. */
export interface CopiedTensor {
  readonly name: string;
  readonly source: TensorSource;
  /** Bytes from the start of the output. */
  readonly offset: number;
}

/** A file of tensors that stand in others already. What they mean is not asked. Plain data. */
export interface CopyPlan {
  readonly output: string;
  readonly metadata: Metadata;
  /** The output up to its first tensor. */
  readonly header: Uint8Array;
  readonly tensors: readonly CopiedTensor[];
  /** Of the whole output. */
  readonly byteLength: number;
}

/** How a file is cut; `size` counts bytes of tensors, as llama-gguf-split does. */
export interface SplitRule {
  readonly maxSize?: number | undefined;
  readonly maxTensors?: number | undefined;
  /** The first part has metadata alone. */
  readonly noTensorsFirst?: boolean | undefined;
}

type Named = readonly [name: string, source: TensorSource];

/** One file of all tensors, with other metadata if it is to have others. */
export function planCopy(
  container: Container,
  output: string,
  metadata: Metadata = container.metadata,
): CopyPlan {
  return planOne(output, metadata, [...container.tensors]);
}

/**
 * Parts named and described as llama-gguf-split names and describes them. Unlike it, a tensor above the limit has a part of
 * its own.
 * @throws LlqError `usage` for more parts than there can be
 */
export function planSplit(container: Container, output: string, rule: SplitRule): CopyPlan[] {
  const all = [...container.tensors];
  const { maxSize, maxTensors, noTensorsFirst = false } = rule;
  const cut =
    maxSize === undefined
      ? chunks(all, maxTensors!)
      : cutBySize(all, maxSize, ([, source]) => source.byteLength);
  const runs = noTensorsFirst ? [[], ...cut] : cut;
  return runs.map((tensors, no) => {
    const metadata = partMetadata(container.metadata, { no, count: runs.length, tensors: all.length });
    const part = planOne(splitPath(output, no, runs.length), metadata, tensors);
    return tensors.length > 0 ? part : padded(part);
  });
}

/** ggml pads a header that nothing follows, too. */
function padded(plan: CopyPlan): CopyPlan {
  const header = new Uint8Array(alignUp(plan.header.length, DEFAULT_ALIGNMENT));
  header.set(plan.header);
  return { ...plan, header, byteLength: header.length };
}

function chunks<T>(all: readonly T[], most: number): T[][] {
  const count = Math.max(1, Math.ceil(all.length / most));
  return Array.from({ length: count }, (_, i) => all.slice(i * most, (i + 1) * most));
}

function planOne(output: string, metadata: Metadata, tensors: readonly Named[]): CopyPlan {
  const infos = tensors.map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  const { header, offsets, byteLength } = ggufHeader(metadata, infos);
  return {
    output,
    metadata,
    header,
    tensors: tensors.map(([name, source], i) => ({ name, source, offset: offsets[i]! })),
    byteLength,
  };
}

/** @throws LlqError `usage` when a file is no GGUF: its tensors have other names there, and perhaps other rows */
export function checkGguf(path: string, { format }: Container, command: string): void {
  if (format === "gguf") return;
  throw new LlqError("usage", t`${path}: is ${format}, and llq ${command} is for GGUF files`, {
    hint: t`llq convert makes one of it`,
  });
}
