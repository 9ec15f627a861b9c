import { decode } from "@msgpack/msgpack";
import { readCompressed } from "#host/assets";
import { installedPath } from "../installed.js";

let modules: Readonly<Record<string, Uint8Array<ArrayBuffer>>> | undefined;

/** A module of WebAssembly by its name: release/modules.mjs has packed them into one file. */
export function readModule(name: string): Uint8Array<ArrayBuffer> {
  modules ??= decode(readCompressed(installedPath("modules.br"))) as typeof modules;
  return modules![name]!;
}
