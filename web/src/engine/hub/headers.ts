import { isWholeHeader } from "llq/browser";
import type { HubFile } from "./listing.js";
import type { Hub } from "./requests.js";

/** How much of a file is asked for, as long as its header does not end there. */
const ATTEMPTS = [1 << 20, 1 << 24, 1 << 28];

/** A file of which the header is there and the rest are zeros, that take no memory: enough to plan with. */
export async function fetchHollow(hub: Hub, url: URL, file: HubFile): Promise<Blob> {
  let start = new Uint8Array(0);
  for (const length of ATTEMPTS) {
    const end = Math.min(length, file.size);
    if (end > 0) {
      const headers = { range: `bytes=0-${end - 1}` };
      start = (await hub.retry(() => hub.read(url, end, headers))).bytes;
    }
    if (start.length === file.size || isWholeHeader(start)) break;
  }
  return new Blob([start, zeros(file.size - start.length)]);
}

const BLOCK = 1 << 20;

/** So many zeros, put together of one block that is kept once. */
export function zeros(length: number): Blob {
  if (length === 0) return new Blob();
  let block = new Blob([new Uint8Array(Math.min(BLOCK, length))]);
  // Doubled as often as it takes, a file of a terabyte has 20 blobs, not a million.
  const blocks = [block];
  while (block.size * 2 <= length) {
    block = new Blob([block, block]);
    blocks.push(block);
  }
  const parts: Blob[] = [];
  let left = length;
  for (const each of blocks.toReversed()) {
    while (left >= each.size) {
      parts.push(each);
      left -= each.size;
    }
  }
  if (left > 0) parts.push(blocks[0]!.slice(0, left));
  return new Blob(parts);
}
