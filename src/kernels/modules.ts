import { readCompressed } from "#host/assets";
import { decodeUtf8 } from "#host/bytes";
import { installedPath } from "../installed.js";

type Modules = Readonly<Record<string, Uint8Array<ArrayBuffer>>>;

let modules: Modules | undefined;

/** Adds modules, packed as those in the file: where no file can be read when one is wanted. */
export function addModules(packed: Uint8Array): void {
  modules = { ...modules, ...unpacked(packed) };
}

/** A module of WebAssembly by its name: release/modules.mjs has packed them into one file. Pages have not all of them. */
export function readModule(name: string): Uint8Array<ArrayBuffer> | undefined {
  modules ??= unpacked(readCompressed(installedPath("modules.br")));
  return modules[name];
}

/** A line of JSON has their names and lengths; they follow in that order. */
function unpacked(packed: Uint8Array): Modules {
  let end = packed.indexOf(NEW_LINE) + 1;
  const lengths = JSON.parse(decodeUtf8(packed.subarray(0, end))) as Record<string, number>;
  const each = Object.entries(lengths).map(([name, length]) => {
    end += length;
    return [name, packed.subarray(end - length, end)] as const;
  });
  return Object.fromEntries(each) as Modules;
}

const NEW_LINE = 10;
