import { join } from "node:path";
import * as v from "valibot";
import { listFolder, readSmallFile } from "../../../formats/bytes.js";
import { parseJson } from "../../../formats/json.js";
import { MAX_CONFIG_BYTES, type Model } from "../../model.js";
import type { Vocab } from "../../tokenizer/types.js";

/** Tokens that end what a model says, by their text (llama.cpp, src/llama-vocab.cpp). */
// biome-ignore format: several a line
const END_TEXTS: ReadonlySet<string> = new Set([
  "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>",
  "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>",
  "<|tool_response>",
]);

/** A text that ends nothing in a vocabulary that has these as well. */
const NO_END: readonly (readonly [text: string, beside: readonly string[]])[] = [
  ["<|end|>", ["<|return|>", "<|call|>"]],
  ["<|end|>", ["<|flush|>", "<|calls|>"]],
  ["</s>", ["<|tool_response>"]],
];

/**
 * The ids that end what a model says: those its vocabulary names for the end of text, turn and message and for the gaps
 * between files, those that llama.cpp knows by their text, and all that config.json and generation_config.json list.
 */
export function endTokens({ vocab, folder }: Pick<Model, "vocab" | "folder">): ReadonlySet<number> {
  const { eos, eot, eom, fimPad, fimRep, fimSep } = vocab.special;
  const ends = new Set(textEnds(vocab));
  for (const id of [eos, eot, eom, fimPad, fimRep, fimSep]) if (id !== undefined) ends.add(id);
  if (folder !== undefined) for (const id of listedEnds(folder)) ends.add(id);
  return ends;
}

function textEnds({ tokens }: Vocab): number[] {
  const found = new Map<string, number>();
  for (const [id, text] of tokens.entries()) if (END_TEXTS.has(text)) found.set(text, id);
  for (const [text, beside] of NO_END) if (beside.every((each) => found.has(each))) found.delete(text);
  return [...found.values()];
}

const id = v.pipe(v.number(), v.integer(), v.minValue(0));
const ends = v.looseObject({ eos_token_id: v.nullish(v.union([id, v.array(id)])) });

function listedEnds(folder: string): number[] {
  const names = listFolder(folder) ?? [];
  return ["config.json", "generation_config.json"]
    .filter((name) => names.includes(name))
    .flatMap((name) => {
      const path = join(folder, name);
      const file = v.safeParse(ends, parseJson(path, readSmallFile(path, MAX_CONFIG_BYTES)));
      return (file.success && file.output.eos_token_id) || [];
    });
}
