import type { Command, CommanderError } from "commander";
import { t } from "../../language/t.js";

// People come from llama.cpp and mlx_lm with command lines in their fingers: what to type instead here. The whole map is
// docs/from-llama-cpp.md.

/** Options of other tools, and what does the same. Where a command has such an option itself, that one is meant. */
const OPTIONS: Readonly<Record<string, string>> = {
  "-m": t`the model is named without -m, as the first argument`,
  "--model": t`the model is named without --model, as the first argument`,
  "--hf-path": t`the model is named without --hf-path: hf:owner/name`,
  "-hf": t`the model is named without -hf: hf:owner/name`,
  "--file": t`the text's file is named without --file, after the model`,
  "-p": t`the text is written without -p, after the model`,
  "--prompt": t`the text is written without --prompt, after the model`,
  "-ngl": t`llq computes on the CPU: leave -ngl out`,
  "--n-gpu-layers": t`llq computes on the CPU: leave --n-gpu-layers out`,
  "--gpu-layers": t`llq computes on the CPU: leave --gpu-layers out`,
  "-fa": t`attention is always exact: leave -fa out`,
  "--flash-attn": t`attention is always exact: leave --flash-attn out`,
  "--no-ppl": t`leave it out: only llq eval-ppl computes perplexity`,
  "-t": t`-j is the number of threads`,
  "--threads-batch": t`-j is the number of threads`,
  "--ctx-size": t`--context is the number of tokens`,
  "-n-predict": t`-n is the number of tokens`,
  "--n-predict": t`-n is the number of tokens`,
  "-cnv": t`--chat uses the model's template`,
  "--conversation": t`--chat uses the model's template`,
  "-sys": t`--system is the system's message`,
  "-ctk": t`--kv-type is the type that keys and values are kept in`,
  "-ctv": t`--kv-type is the type that keys and values are kept in`,
  "--outfile": t`-o is the file to write`,
  "--output-file": t`-o is the file to write`,
  "--outtype": t`--type is the type to write: --type f16`,
  "--out-type": t`--type is the type to write: --type f16`,
  "--in-file": t`--in is a file to add`,
  "--chunk": t`--chunks is the number of chunks to run`,
  "--ppl-stride": t`--stride is the distance of chunks`,
  "--kl-divergence": t`--baseline compares with such a file, --base-model with a model`,
  "--kl-divergence-base": t`--save writes such a file, --baseline compares with it`,
  "--output-tensor-type": t`--output-type is the type of the output matrix`,
  "--token-embedding-type": t`--embedding-type is the type of the token embedding`,
  "--leave-output-tensor": t`--leave-output keeps the output matrix as it is`,
  "--split": t`llq split <model> -o <file> --max-size 2G`,
  "--merge": t`the first part is named without --merge, and the file to write after -o`,
  "--q-bits": t`--bits is the number of bits`,
  "--quantize": t`llq quantize <model> -o <file> --bits 4`,
};

/** Commands of other tools, and what does the same. */
const COMMANDS: Readonly<Record<string, string>> = {
  perplexity: "eval-ppl",
  ppl: "eval-ppl",
  "llama-perplexity": "eval-ppl",
  "llama-quantize": "quantize",
  "llama-imatrix": "imatrix",
  "llama-gguf-split": "split",
  "gguf-split": "split",
  "llama-cli": "generate",
  cli: "generate",
  chat: "generate",
  run: "generate",
  convert_hf_to_gguf: "convert",
  "convert_hf_to_gguf.py": "convert",
  dump: "meta",
  show: "inspect",
  info: "inspect",
  bench: "compare",
  lm_eval: "eval-choice",
  eval: "eval-ppl",
};

/**
 * What to type instead of a command line that no command understands.
 * @param args the command line without the program
 */
export function insteadOf(error: CommanderError, commands: readonly Command[], args: readonly string[]) {
  const [first = ""] = args;
  const command = commands.find((each) => each.name() === first);
  if (command === undefined) return insteadOfCommand(first);
  for (const arg of optionsOf(args)) {
    const isOwn = command.options.some(({ short, long }) => arg === short || arg === long);
    const instead = isOwn || !Object.hasOwn(OPTIONS, arg) ? undefined : OPTIONS[arg];
    if (instead !== undefined) return instead;
  }
  if (
    first === "convert" &&
    error.code === "commander.invalidArgument" &&
    /'(?!fp)\w*\d_\w+'/.test(error.message)
  ) {
    return t`llq quantize writes quantized types`;
  }
  if (first === "quantize" && error.code === "commander.excessArguments") {
    return t`-o names the output and --type its type: llq quantize <model> -o <out.gguf> --type Q4_K_M`;
  }
  const missing = command.options.find(({ flags }) => error.message.includes(`required option '${flags}'`));
  return missing && `${missing.flags}: ${missing.description}`;
}

function insteadOfCommand(first: string): string | undefined {
  if (/\.gguf$|\.safetensors$|^hf:|[/\\]/.test(first)) return t`a command comes first: llq inspect ${first}`;
  const own = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  return own && t`llq ${own} does that`;
}

function optionsOf(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  const before = end < 0 ? args : args.slice(0, end);
  return before.filter((arg) => /^--?[a-z]/.test(arg)).map((arg) => arg.replace(/=.*/s, ""));
}
