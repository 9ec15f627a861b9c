import { compareBytes } from "#host/bytes";
import { withFile } from "../../../formats/bytes.js";
import type { Container, TensorSource } from "../../../formats/container.js";

const PIECE = 4 << 20;

/**
 * Whether two stored tensors are the same numbers, byte for byte: of one place, or of two whose bytes are compared.
 * Tensors that differ in type, in shape or in the order of their elements are taken for others.
 */
export function isSameTensor({ files }: Container, a: TensorSource, b: TensorSource): boolean {
  const [left, right] = [a, b].map(({ dtype, shape, strides }) => JSON.stringify([dtype, shape, strides]));
  if (left !== right || a.coded !== undefined || b.coded !== undefined) return false;
  if (a.file === b.file && a.offset === b.offset) return true;
  // Of a view the file has more than the elements, or other ones between them.
  if (a.strides !== undefined || a.runs !== undefined || b.runs !== undefined) return false;
  return withFile(files[a.file]!, (one) =>
    withFile(files[b.file]!, (other) => {
      for (let done = 0; done < a.byteLength; done += PIECE) {
        const length = Math.min(PIECE, a.byteLength - done);
        if (compareBytes(one.read(a.offset + done, length), other.read(b.offset + done, length)) !== 0) {
          return false;
        }
      }
      return true;
    }),
  );
}
