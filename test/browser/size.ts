import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import type { Check } from "./check.js";

const ROOT = join(import.meta.dirname, "../../..");
const MOST = 250_000;
/** Containers beside GGUF and safetensors: a page can do without. */
const OPTIONAL = /\/dist\/formats\/(torch|flax|llama2c)\/[^/]+\.js$/;

const zipped = (bytes: string | Uint8Array) => gzipSync(bytes, { level: 9 }).length;

/** What a page fetches before it quantizes: code and kernels. */
export async function size(): Promise<Check[]> {
  const own = join(ROOT, "dist/browser");
  const files = readdirSync(own).filter((name) => /^(browser|shared|worker)\.js$|^kernels\.gz$/.test(name));
  const each = files.map((name) => `${name} ${kilobytes(zipped(readFileSync(join(own, name))))}`);
  const kernels = zipped(readFileSync(join(own, "kernels.gz")));
  const code = await codeWithout(OPTIONAL);
  const total = code + kernels;
  return [
    {
      what: `gzipped, without optional containers, at most ${kilobytes(MOST)}`,
      holds: total <= MOST,
      found: `${kilobytes(total)} (code ${kilobytes(code)}, kernels ${kilobytes(kernels)}); with all: ${each.join(", ")}`,
    },
  ];
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

/** Bytes of the code, gzipped, when some modules have nothing in them but their names. */
async function codeWithout(modules: RegExp): Promise<number> {
  const { default: config } = await import(join(ROOT, "rolldown.browser.js"));
  const empty = {
    name: "empty",
    load(id: string) {
      if (!modules.test(id)) return undefined;
      const code = readFileSync(id, "utf8");
      const names = [...code.matchAll(/^export (?:const|function\*?|class|let) (\w+)/gm)].map(
        ([, name]) => name,
      );
      return names.map((name) => `export const ${name} = undefined;`).join("\n");
    },
  };
  const bundle = await rolldown({ ...config, cwd: ROOT, plugins: [empty] });
  const { output } = await bundle.generate({ ...config.output, dir: undefined });
  return output.reduce((sum, chunk) => sum + (chunk.type === "chunk" ? zipped(chunk.code) : 0), 0);
}
