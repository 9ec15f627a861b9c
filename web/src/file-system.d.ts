// What Chromium's pickers are, of which TypeScript's own types know nothing yet.

interface Window {
  showSaveFilePicker(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
  showDirectoryPicker(options?: { id?: string; mode?: "read" }): Promise<FileSystemDirectoryHandle>;
}
