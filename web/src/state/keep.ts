/**
 * Copies a file to where the user has said. A stop leaves what was there before: browsers put the new content in place at
 * the end only.
 */
export async function copyTo(
  file: File,
  handle: FileSystemFileHandle,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  let done = 0;
  const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, out) {
      done += chunk.length;
      onProgress(done, file.size);
      out.enqueue(chunk);
    },
  });
  const target = await handle.createWritable();
  await file.stream().pipeThrough(counted).pipeTo(target, { signal });
  const { size } = await handle.getFile();
  if (size !== file.size) throw new Error(`${handle.name}: ${size} of ${file.size} bytes have arrived`);
}

/** Has the browser put a file where its downloads go. The address is kept for a minute: some browsers read late. */
export function download(file: File, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
