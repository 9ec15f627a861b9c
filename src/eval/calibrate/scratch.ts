import {
  closeSync,
  existsSync,
  fdatasyncSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { decode, encode } from "@msgpack/msgpack";
import * as v from "valibot";
import { alignUp, readFully } from "../../../formats/bytes.js";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { TensorPlan } from "../../quant/plan.js";
import { writeError, writeFully } from "../../run/write/encode.js";
import { foreignJournal } from "../../run/write/journal.js";
import { createFile, reopenFile } from "../../run/write/output.js";
import { storedWhole, type Tensor } from "../../tensor.js";

const report = v.object({
  name: v.string(),
  dtype: v.string(),
  tokens: v.number(),
  columns: v.number(),
  plainError: v.number(),
  error: v.number(),
  rows: v.number(),
  plainRows: v.number(),
  squaredError: v.number(),
  squaredSum: v.number(),
  maxError: v.number(),
});

/** What became of a tensor. */
export interface FeedbackReport extends v.InferOutput<typeof report> {}

const record = v.object({
  llq: v.literal("calibrate 1"),
  fingerprint: v.string(),
  /** That are done. */
  steps: v.pipe(v.number(), v.integer(), v.minValue(0)),
  reports: v.array(report),
});

/** How far a run has come. */
export interface Done {
  readonly steps: number;
  readonly reports: readonly FeedbackReport[];
}

const ALIGNMENT = 64;
const LIMITS = {
  maxArrayLength: 2 ** 20,
  maxMapLength: 16,
  maxStrLength: 4096,
  maxBinLength: 0,
  maxExtLength: 0,
};

/**
 * A file for tensors that are rounded, and for the hidden states of all tokens: two slots, of which a step reads one and
 * writes the other, so that a kill leaves one whole. How far they are stands in a file beside it.
 */
export class Scratch {
  readonly path: string;
  readonly fd: number;
  readonly #offsets: ReadonlyMap<string, number>;
  readonly #states: number;
  readonly #stateBytes: number;

  /** @param stateBytes of one stream @throws LlqError `no-space` when the disk has no room */
  constructor(path: string, tensors: readonly TensorPlan[], stateBytes: number, resume: boolean) {
    this.path = path;
    let end = 0;
    this.#offsets = new Map(
      tensors.map(({ tensor, byteLength }) => {
        const offset = end;
        end = alignUp(end + byteLength, ALIGNMENT);
        return [tensor.name, offset] as const;
      }),
    );
    this.#states = end;
    this.#stateBytes = stateBytes;
    if (!resume) removeScratch(path);
    checkRoom(path, end + 4 * stateBytes);
    this.fd = resume ? reopenFile(path) : createFile(path);
  }

  /** Where a tensor's bytes are. */
  placeOf(name: string): { readonly fd: number; readonly name: string; readonly offset: number } {
    return { fd: this.fd, name: this.path, offset: this.#offsets.get(name)! };
  }

  /** The tensor as it is stored here, `file` being the number of this file among the model's. */
  stored({ tensor, dtype, byteLength }: TensorPlan, file: number): Tensor {
    const offset = this.#offsets.get(tensor.name)!;
    return { ...tensor, ...storedWhole({ file, offset, byteLength, dtype, shape: tensor.shape }) };
  }

  /** Hidden states from `first` bytes on of a stream in a slot. */
  readStates(slot: number, stream: number, first: number, states: Uint8Array): void {
    readFully(this.fd, this.path, states, this.#placeOfStates(slot, stream) + first);
  }

  writeStates(slot: number, stream: number, first: number, states: Uint8Array): void {
    writeFully({ fd: this.fd, name: this.path, offset: this.#placeOfStates(slot, stream) + first }, states);
  }

  #placeOfStates(slot: number, stream: number): number {
    return this.#states + (slot * 2 + stream) * this.#stateBytes;
  }

  /** Puts down how far the work is, once what it consists of is on the disk. */
  checkpoint(fingerprint: string, { steps, reports }: Done): void {
    const path = recordPath(this.path);
    try {
      fdatasyncSync(this.fd);
      const fd = createFile(`${path}.new`);
      try {
        writeFileSync(fd, encode({ llq: "calibrate 1", fingerprint, steps, reports }), { flush: true });
      } finally {
        closeSync(fd);
      }
      renameSync(`${path}.new`, path);
    } catch (cause) {
      throw cause instanceof LlqError ? cause : writeError(path, cause);
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}

function recordPath(scratch: string): string {
  return `${scratch}.journal`;
}

/** @throws LlqError `usage` for a folder that is not there, `no-space` */
function checkRoom(path: string, needed: number): void {
  const folder = dirname(path);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new LlqError("usage", t`${path}: the folder ${folder} does not exist`, {
      hint: `mkdir -p ${folder}`,
    });
  }
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= needed) return;
  throw new LlqError("no-space", t`${path}: needs ${needed} bytes, but there are ${bavail * bsize} free`, {
    hint: t`--scratch names a folder with more room; fewer --calibrate-tokens need less`,
  });
}

/**
 * How far an earlier run came; undefined when there is none.
 * @throws LlqError `usage` when it was of other work
 */
export function readDone(scratch: string, fingerprint: string): Done | undefined {
  let content: unknown;
  if (!existsSync(scratch)) return undefined;
  try {
    content = decode(readFileSync(recordPath(scratch)), LIMITS);
  } catch {
    return undefined;
  }
  const { success, output } = v.safeParse(record, content);
  if (!success || output.fingerprint !== fingerprint) throw foreignJournal(recordPath(scratch));
  return output;
}

export function removeScratch(path: string): void {
  for (const file of [path, recordPath(path), `${recordPath(path)}.new`]) rmSync(file, { force: true });
}
