import { decode } from "@msgpack/msgpack";
import { readCompressed } from "#host/assets";
import { installedPath } from "../installed.js";

let modules: Readonly<Record<string, Uint8Array<ArrayBuffer>>> | undefined;

/** Adds modules, packed as those in the file: where no file can be read when one is wanted. */
export function addModules(packed: Uint8Array): void {
  modules = { ...modules, ...(decode(packed) as typeof modules) };
}

/** A module of WebAssembly by its name: release/modules.mjs has packed them into one file. Pages have not all of them. */
export function readModule(name: string): Uint8Array<ArrayBuffer> | undefined {
  modules ??= decode(readCompressed(installedPath("modules.br"))) as typeof modules;
  return modules![name];
}
