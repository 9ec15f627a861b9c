import { t } from "../../src/language/t.js";
import { LlqError } from "../errors.js";

// In the place of yauzl where it cannot run, as it needs much of Node: `#zip` in package.json says which is taken.

export class RandomAccessReader {}

/** Says that archives are not read here. */
export function fromRandomAccessReader(
  _reader: unknown,
  _byteLength: number,
  _options: unknown,
  done: (error: Error) => void,
): void {
  done(
    new LlqError("unsupported", t`PyTorch's files are not read in browsers`, {
      hint: t`safetensors or GGUF are; llq on the command line converts this one`,
    }),
  );
}
