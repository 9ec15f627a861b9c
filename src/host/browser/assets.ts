import type { HostAssets } from "../types.js";

// Files of llq are fetched before anything asks for them, as asking waits for nothing.

const loaded = new Map<string, Uint8Array>();

/** @param name as `findInstalled` is asked for it */
export function provideAsset(name: string, content: Uint8Array): void {
  loaded.set(name, content);
}

export const { codePath, findInstalled, readCompressed }: HostAssets = {
  codePath: () => import.meta.url,
  findInstalled: (name) => (/\.(br|gz)$/.test(name) && !loaded.has(name) ? undefined : name),
  readCompressed: (path) => loaded.get(path)!,
};
