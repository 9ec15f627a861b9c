import type { MetaField } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { t } from "../language/t.js";

/** Attention that sees a window only, in transformers' `layer_types`, and attention that sees all. */
const KINDS: Readonly<Record<string, boolean>> = {
  sliding_attention: true,
  chunked_attention: true,
  full_attention: false,
};

/**
 * Whether each layer has a window, as config.json's `layer_types` say; `usual` where it has none of them.
 * @throws LlqError `bad-input` unless they are one for each layer, `unsupported` for a kind that is no attention
 */
export function windowLayers(
  config: {
    readonly num_hidden_layers: number;
    readonly layer_types?: readonly string[] | null | undefined;
  },
  usual: (layer: number) => boolean,
): boolean[] {
  const { num_hidden_layers: layers, layer_types } = config;
  if (layer_types == null) return Array.from({ length: layers }, (_, layer) => usual(layer));
  if (layer_types.length < layers) {
    throw badInput(t`config.json: layer_types has ${layer_types.length} values for ${layers} layers`);
  }
  return layer_types.slice(0, layers).map((type) => {
    const hasWindow = KINDS[type];
    if (hasWindow !== undefined) return hasWindow;
    throw new LlqError("unsupported", t`config.json: layer_types has ${type}, which is not supported`, {
      hint: t`supported: ${Object.keys(KINDS).join(", ")}`,
    });
  });
}

/** All layers but every n-th. */
export function allButEvery(period: number): (layer: number) => boolean {
  return (layer) => layer % period !== period - 1;
}

/** A list of which layers have something, where they are not those that loaders expect. */
export function patternKeys(
  key: "attention.sliding_window_pattern" | "attention.rope_pattern",
  has: readonly boolean[],
  usual: (layer: number) => boolean,
): [string, MetaField][] {
  return has.every((each, layer) => each === usual(layer)) ? [] : [[key, meta.bools(has)]];
}

/**
 * Of how many layers the last has no window, and the others have one: `usual`, if that fits.
 * @param hasWindow of each layer
 * @throws LlqError `unsupported` for layers in another order
 */
export function windowPeriodOf(name: string, hasWindow: readonly boolean[], usual?: number): number {
  const fits = (period: number) => hasWindow.every((has, i) => has === (i % period !== period - 1));
  const whole = hasWindow.indexOf(false);
  const period = whole < 0 ? hasWindow.length + 1 : whole + 1;
  const found = [usual ?? period, period].find(fits);
  if (found !== undefined) return found;
  throw new LlqError("unsupported", t`${name}: the layers with windows are in no order that is supported`, {
    hint: t`supported: in all layers, in none, in all but every n-th`,
  });
}
