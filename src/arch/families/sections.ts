import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { HfModel } from "../architecture.js";

// Positions of pictures are triples, of which RoPE's sections take one each; those of texts are three times the same
// number, so that sections change nothing.

const sections = v.looseObject({ mrope_section: v.array(v.pipe(v.number(), v.integer())) });

/** The key that loaders want to know them by; `usual` where the config has none. */
export function sectionKeys(
  { rope_scaling, rope_parameters }: { readonly rope_scaling?: unknown; readonly rope_parameters?: unknown },
  usual: readonly number[],
): HfModel["keys"] {
  const parsed = [rope_scaling, rope_parameters]
    .map((each) => v.safeParse(sections, each))
    .find(({ success }) => success);
  const cut: readonly number[] = parsed?.success ? parsed.output.mrope_section : usual;
  return [["rope.dimension_sections", meta.i32s(Array.from({ length: 4 }, (_, i) => cut[i] ?? 0))]];
}
