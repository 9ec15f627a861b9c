import * as v from "valibot";
import { existsSync, join } from "#host/files";
import { readSmallFile } from "../../../formats/bytes.js";
import { badInput } from "../../../formats/errors.js";
import { parseJson } from "../../../formats/json.js";
import { t } from "../../language/t.js";

const MAX_BYTES = 16 << 20;

const exported = v.looseObject({
  producer: v.optional(v.unknown()),
  quantization: v.record(v.string(), v.unknown()),
});

/**
 * A config.json with what ModelOpt says of the weights in a file of its own, hf_quant_config.json: older
 * releases said so nowhere else.
 * @throws LlqError `bad-input` for a file of another form
 */
export function withQuantConfig(folder: string, json: unknown): unknown {
  const file = join(folder, "hf_quant_config.json");
  const isSaid = Object.keys(Object(json)).some((key) => /^(quantization|compression)/.test(key));
  if (isSaid || !existsSync(file)) return json;
  const said = v.safeParse(exported, parseJson(file, readSmallFile(file, MAX_BYTES)));
  if (!said.success) throw badInput(t`${file}: no object named quantization`);
  const { producer, quantization } = said.output;
  if (quantization["quant_algo"] == null) return json; // only keys and values are in fewer bits
  return { ...Object(json), quantization_config: { quant_method: "modelopt", producer, ...quantization } };
}
