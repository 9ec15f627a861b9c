// Buffers that go between threads are used again: the pages of a new one have to be found and cleared, which takes as long as
// reading into them.

/** Sizes are made whole, so that what had a part of a file has room for most others. */
const WHOLE = 1 << 20;

/** Bytes that are kept at the most: where more comes in than goes out. */
const MOST = 1 << 25;

let spare: ArrayBuffer[] = [];
let kept = 0;

/** A buffer of so many bytes or more; what is in it is whatever was there. */
export function takeBuffer(byteLength: number): ArrayBuffer {
  const i = spare.findIndex((buffer) => buffer.byteLength >= byteLength);
  if (i >= 0) {
    const [buffer] = spare.splice(i, 1) as [ArrayBuffer];
    kept -= buffer.byteLength;
    return buffer;
  }
  return new ArrayBuffer(Math.max(1, Math.ceil(byteLength / WHOLE)) * WHOLE);
}

/** To be called with what nobody looks at any more. */
export function giveBuffer(buffer: ArrayBuffer): void {
  if (kept + buffer.byteLength > MOST) return;
  spare.push(buffer);
  kept += buffer.byteLength;
}

/** All that there are, which are nobody's here any more. */
export function takeSpare(): ArrayBuffer[] {
  const all = spare;
  spare = [];
  kept = 0;
  return all;
}
