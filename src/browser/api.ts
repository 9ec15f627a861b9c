import type { Summary } from "../run/write/partials.js";

// What llq/browser has that llq has not: where a model comes from and where a file goes in a browser. It is for a dedicated
// worker, as files are read at once there (FileReaderSync, sync access handles); everything else has llq's own names.

/** A file of a folder, by its path in there: `model/config.json`. */
export interface PlacedFile {
  readonly path: string;
  readonly file: File;
}

/** What a page can have of a model: files that were picked or dropped, or handles of files and folders. */
export type ModelInput =
  | File
  | PlacedFile
  | FileSystemFileHandle
  | FileSystemDirectoryHandle
  | Iterable<File | PlacedFile | FileSystemFileHandle>;

/** Files that `openModel` and all that takes a path can read. */
export interface AddedModel {
  /** For openModel: the file, or the folder of the files. */
  readonly path: string;
  readonly byteLength: number;
  /** Forgets the files: memory and handles are given back. */
  remove(): void;
}

/** Where a file goes: a name in the origin's private file system, a file that the user chose, or memory. */
export type OutputTarget =
  | { readonly kind: "opfs"; readonly name: string }
  | { readonly kind: "handle"; readonly handle: FileSystemFileHandle }
  | { readonly kind: "memory"; readonly name: string };

/** A file that was written. */
export interface BrowserSummary extends Summary {
  /** In hexadecimal, of the whole file, as it reads back. */
  readonly sha256: string;
  /** What was written, to be saved, downloaded or added as a model again. */
  readonly file: File;
}

/** What this browser, in this page, can do. */
export interface Abilities {
  /** Several threads on one memory: without it quantizing works and evaluating does not. Wants COOP and COEP. */
  readonly sharedMemory: boolean;
  /** The origin's private file system with sync access handles; without it outputs stay in memory. */
  readonly privateFiles: boolean;
  /** Files that the user chooses can be written. That one can be chosen shows in the page, by its `showSaveFilePicker`. */
  readonly chosenFiles: boolean;
  /** Threads that are started unless fewer are asked for. */
  readonly threads: number;
  /** Bytes of memory that the device has, as far as it says. */
  readonly memory: number | undefined;
  /** Bytes that may still be written to the private file system. */
  readonly quota: number | undefined;
}
