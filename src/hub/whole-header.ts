import { BufferSource } from "../../formats/bytes.js";
import { GGUF_MAGIC, readGguf } from "../../formats/gguf/gguf.js";

/** Whether a file of safetensors or a GGUF begins so, and its header ends in these bytes. */
export function isWholeHeader(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) return false;
  if (view.getUint32(0, true) !== GGUF_MAGIC) return 8 + Number(view.getBigUint64(0, true)) <= bytes.length;
  try {
    readGguf(new BufferSource("header", bytes), { headerOnly: true });
    return true;
  } catch {
    return false; // more of it may make it whole; what is wrong with it is said when it is opened
  }
}
