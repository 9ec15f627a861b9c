import type { Architecture } from "../architecture.js";
import { llama } from "./llama.js";

// Yi's first repositories are Llamas whose norms have other names; later ones are Llamas throughout.

const NORMS: Readonly<Record<string, string>> = {
  attn_norm: "model.layers.{i}.ln1.weight",
  ffn_norm: "model.layers.{i}.ln2.weight",
};

export const yi: Architecture = {
  ...llama,
  covers: ["Yi (first releases)"],
  classes: ["YiForCausalLM"],
  tensors: llama.tensors.map((row) => (row.role in NORMS ? { ...row, source: NORMS[row.role]! } : row)),
};
