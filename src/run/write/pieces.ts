import { nextTurn } from "#host/time";
import { readFully } from "../../../formats/bytes.js";
import type { Container, TensorSource } from "../../../formats/container.js";
import { dtype } from "../../../formats/dtype.js";
import { turnBlocks } from "../../../formats/gguf/byte-order.js";
import { descriptorOf } from "../../rows/late.js";
import type { Descriptors } from "../../rows/rows.js";

/** Bytes read at a time. */
const PIECE = 1 << 22;

/**
 * The bytes of a stored tensor, in order, as a little-endian file has them; each piece is valid until the next. Between
 * pieces the program looks at what else there is to do, such as a signal.
 * @throws LlqError `bad-input` when the file ends early, and the reason of `signal`
 */
export async function* tensorPieces(
  { files: names }: Pick<Container, "files">,
  files: Descriptors,
  source: TensorSource,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { typeSize } = dtype(source.dtype);
  const most = PIECE - (PIECE % typeSize); // whole blocks
  const buffer = new Uint8Array(Math.min(most, source.byteLength));
  const fd = descriptorOf(files[source.file]!);
  for (let done = 0; done < source.byteLength; done += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, source.byteLength - done));
    readFully(fd, names[source.file]!, piece, source.offset + done);
    if (source.bigEndian) turnBlocks(source.dtype, piece);
    yield piece;
    await nextTurn();
    signal?.throwIfAborted();
  }
}
