import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture } from "../architecture.js";
import { count, layerTypes, reader } from "../config.js";
import { windowLayers } from "../windows.js";
import { llama, llamaSchema, readLlama } from "./llama.js";

interface Windows {
  readonly covers: string;
  readonly year?: number;
  readonly classes: string;
  /** Tokens in a window, and the layers that have one, where a config does not say. */
  readonly usual: number;
  readonly layers: (layer: number) => boolean;
}

/** A Llama some of whose layers have a window. llama.cpp has neither class, nor windows in a "llama". */
function llamaWithWindows({ covers, year, classes, usual, layers }: Windows): Architecture {
  const schema = v.looseObject({
    ...llamaSchema.entries,
    sliding_window: v.optional(v.nullable(count), usual),
    layer_types: layerTypes,
  });
  return {
    ...llama,
    ...{ covers: [covers], year, classes: [classes] },
    read: reader(schema, ({ sliding_window: window, ...config }) => {
      const hasWindow = windowLayers(config, layers);
      const model = readLlama(config);
      if (window === null || !hasWindow.includes(true)) return model;
      return {
        ...model,
        keys: [
          ...model.keys,
          ["attention.sliding_window", meta.u32(window)],
          ["attention.sliding_window_pattern", meta.bools(hasWindow)],
        ],
        remarks: [
          t`layers have windows of ${window} tokens, which llama.cpp does not know of: longer texts it sees whole`,
        ],
      };
    }),
  };
}

export const cwm = llamaWithWindows({
  covers: "Code World Model",
  year: 2025,
  classes: "CwmForCausalLM",
  usual: 8192,
  layers: (layer) => layer % 4 !== 0,
});

export const ministral = llamaWithWindows({
  covers: "Ministral 8B",
  classes: "MinistralForCausalLM",
  usual: 4096,
  layers: () => true,
});
