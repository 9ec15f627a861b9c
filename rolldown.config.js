import { existsSync, readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { esmExternalRequirePlugin } from "rolldown/plugins";

// The program, its threads and the library as a few files: to start, some 400 would have to be read, by each thread anew. Each command
// is one of its own, and beside them are what all need, what threads need, and what reading a model takes.

/** Loaded by few runs, and large. */
const EXTERNAL = ["@huggingface/hub", "@huggingface/jinja"];

/** The licenses of the packages that a bundle contains, in a file beside it. */
export const licenses = {
  name: "licenses",
  generateBundle(_, bundle) {
    const modules = Object.values(bundle).flatMap(({ moduleIds = [] }) => moduleIds);
    const folders = modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? []);
    const texts = [...new Set(folders)].sort().map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
      const text = file !== undefined && existsSync(join(folder, file)) ? readFileSync(join(folder, file), "utf8") : license;
      return `${name} ${version}\n\n${text.trim()}\n`;
    });
    this.emitFile({ type: "asset", fileName: "LICENSES.txt", source: texts.join("\n\n") });
  },
};

const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));

/** Packages of CommonJS import what they require of Node: other bundlers take the library, and it may become CommonJS. */
const nodeModules = esmExternalRequirePlugin({ external: [...builtinModules, /^node:/] });

export default {
  input: { cli: "dist/src/cli.js", worker: "dist/src/worker/worker.js", index: "dist/src/index.js" },
  platform: "node",
  transform: { define: { LLQ_VERSION: JSON.stringify(version) } },
  external: EXTERNAL,
  plugins: [nodeModules, licenses],
  output: {
    dir: "dist/program",
    cleanDir: true,
    comments: false,
    // Names of functions stay, for whoever reads a trace; the package must stay below 600 kB.
    minify: { compress: { keepNames: { function: true, class: true } }, mangle: { keepNames: true }, codegen: { removeWhitespace: true } },
    chunkFileNames: "[name].js",
    codeSplitting: {
      groups: [
        {
          name: "base",
          test: /\/src\/(escape|version|language\/(t|language)|commands\/shared\/general)\.js$|\/formats\/(errors|inputs)\.js$|\/node_modules\/commander\//,
        },
        // Read before anything is said in another language, and so before what says something at once.
        { name: "catalogue", test: /\/src\/language\/catalogue\.js$/ },
        { name: "work", test: /\/src\/(worker\/job-kinds|host\/node\/threads)\.js$/ },
        { name: "model", test: /\/src\/(model|lora|outline|commands\/shared\/source)\.js$/ },
        { name: "shared", minShareCount: 2 },
      ],
    },
  },
};
