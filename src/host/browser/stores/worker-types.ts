// What workers have and pages have not: TypeScript knows one or the other.

/** FileReaderSync. */
export interface FileReader {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** FileSystemSyncAccessHandle. */
export interface SyncAccessHandle {
  read(target: Uint8Array<ArrayBuffer>, options: { readonly at: number }): number;
  write(source: Uint8Array<ArrayBuffer>, options: { readonly at: number }): number;
  truncate(byteLength: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

declare const FileReaderSync: new () => FileReader;

export function newFileReader(): FileReader {
  return new FileReaderSync();
}

/** Opens a file of the private file system for this worker alone. */
export function openSyncAccess(handle: FileSystemFileHandle): Promise<SyncAccessHandle> {
  return (
    handle as unknown as { createSyncAccessHandle(): Promise<SyncAccessHandle> }
  ).createSyncAccessHandle();
}
