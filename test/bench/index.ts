import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { pairVectors } from "../../src/kernels/products.js";
import { benchAllocation } from "./allocation.js";
import { benchCache } from "./decode/cache.js";
import { benchDecode } from "./decode/decode.js";
import { benchGenerate } from "./decode/generate.js";
import { benchEval } from "./eval.js";
import { benchEvalGen } from "./eval-gen.js";
import { benchFeedback } from "./feedback.js";
import { benchGemm } from "./gemm.js";
import { benchKernels } from "./kernels.js";
import { benchNative } from "./native.js";
import { benchQuantize } from "./quantize.js";
import { benchTokenizer } from "./tokenizer.js";

// npm run bench [-- section ... --llama-cpp <dir>]: speeds and memory, as measured in this one run on this machine.
// With a folder of llama.cpp's programs, also against those. The sections generate and feedback take GGUF files of yours; with
// --beside <file.gguf> feedback takes what others have made of samples/tiny-llama, --mix <type> leaves out its other mixes. --fast has eval measure floats that way.

const { values, positionals } = parseArgs({
  options: {
    "llama-cpp": { type: "string" },
    beside: { type: "string", multiple: true },
    mix: { type: "string", multiple: true },
    fast: { type: "boolean" },
  },
  allowPositionals: true,
});
const llamaCpp = values["llama-cpp"];
const files = positionals.filter((name) => name.endsWith(".gguf"));
const questions = positionals.filter((name) => name.endsWith(".jsonl"));
const asked = positionals.filter((name) => !files.includes(name) && !questions.includes(name));

const SECTIONS: Record<string, () => void | Promise<void>> = {
  kernels: benchKernels,
  gemm: benchGemm,
  cache: benchCache,
  decode: benchDecode,
  tokenizer: benchTokenizer,
  quantize: () => benchQuantize(["Q8_0", "Q4_0"]),
  native: () => {
    if (llamaCpp === undefined) console.log("\nnative: not measured, --llama-cpp names no build");
    else benchNative(llamaCpp);
  },
  eval: () =>
    values.fast
      ? benchEval(["F16", "BF16"], llamaCpp, ["--fast"])
      : benchEval(["Q4_0", "Q8_0", "Q4_K_M"], llamaCpp),
  generate: () => benchGenerate(files, llamaCpp),
  "eval-gen": async () => {
    const [file, shown] = questions;
    if (files[0] === undefined || file === undefined || shown === undefined) {
      console.log(
        "\neval-gen: not measured, it takes a GGUF and two files of GSM8K's form, questions and examples",
      );
    } else await benchEvalGen(files[0], file, shown);
  },
  allocation: async () => {
    const shared = process.env["LLQ_SHARED"];
    if (shared === undefined) console.log("\nallocation: not measured, LLQ_SHARED names no folder of models");
    else await benchAllocation(shared);
  },
  feedback: async () => {
    const shared = process.env["LLQ_SHARED"];
    if (shared === undefined) console.log("\nfeedback: not measured, LLQ_SHARED names no folder of models");
    else await benchFeedback(shared, asked.includes("feedback") ? files : [], values);
  },
};

const unknown = asked.filter((name) => !(name in SECTIONS));
if (unknown.length > 0) {
  console.error(`no section ${unknown.join(", ")}; there are ${Object.keys(SECTIONS).join(", ")}`);
  process.exit(2);
}
pairVectors(); // before a section runs
const date = new Date().toISOString().slice(0, 10);
console.log(`${date}, Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}`);
for (const [name, run] of Object.entries(SECTIONS)) {
  if (asked.length === 0 || asked.includes(name)) await run();
}
