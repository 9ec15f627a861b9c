import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { HfModel } from "../architecture.js";
import type { HParams } from "../hparams.js";

// What families share whose last layers see the keys and values of earlier ones.

/** The key that says so. @throws LlqError `bad-input` where no layer is left to have keys */
export function sharedKeys(layers: number, shared: number): HfModel["keys"] {
  if (shared >= layers) {
    throw badInput(
      t`config.json: num_kv_shared_layers is ${shared} of ${layers} layers; none has keys to share`,
    );
  }
  return [["attention.shared_kv_layers", meta.u32(shared)]];
}

/** llama.cpp finds the keys to share by counting back from the first layer that shares, one or two layers. */
export function sharingRemarks(windows: readonly boolean[], shared: number): string[] {
  if (shared === 0) return [];
  const first = windows.length - shared;
  const usual = windows.slice(first).every((hasWindow) => windows[first - (hasWindow ? 2 : 1)] === hasWindow);
  return usual
    ? []
    : [
        t`layers share keys and values of another kind of layer in llama.cpp, which looks one or two layers back`,
      ];
}

/** Whether a layer has keys and values of its own. */
export function hasKeys(h: HParams, layer: number | undefined): boolean {
  return h.layers[layer!]!.keysOf === undefined;
}
