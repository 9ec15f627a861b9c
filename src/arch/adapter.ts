import { existsSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { parseJson, readSmallFile } from "../../formats/bytes.js";
import type { Container, TensorSource } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { openContainer } from "../../formats/open.js";
import { transposed } from "../rows/transposed.js";

const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 20));
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const flag = v.nullish(v.boolean());

/** What PEFT's adapter_config.json says that changes the arithmetic. Unknown fields pass. */
const schema = v.looseObject({
  peft_type: v.string(),
  r: count,
  lora_alpha: positive,
  rank_pattern: v.nullish(v.record(v.string(), count)),
  alpha_pattern: v.nullish(v.record(v.string(), positive)),
  use_rslora: flag,
  use_dora: flag,
  fan_in_fan_out: flag,
  lora_bias: flag,
  layer_replication: v.nullish(v.array(v.unknown())),
});

type Config = v.InferOutput<typeof schema>;

/** What an adapter does to one tensor of its base: takes another for it, and adds scale × b a. */
export interface Change {
  readonly by?: TensorSource;
  readonly add?: { readonly b: TensorSource; readonly a: TensorSource; readonly scale: number };
}

/** A LoRA adapter as PEFT saves it. Plain data. */
export interface Adapter {
  readonly folder: string;
  readonly files: readonly string[];
  /** By the name of the base's tensor; sources count from the adapter's first file. */
  readonly changes: ReadonlyMap<string, Change>;
}

const WEIGHTS = ["adapter_model.safetensors", "adapter_model.bin"];
const MAX_CONFIG_BYTES = 16 << 20;
const PREFIX = "base_model.model.";

/**
 * Opens the folder of an adapter: adapter_config.json and adapter_model.safetensors (or .bin).
 * @throws LlqError `bad-input` when a part is missing or does not fit, `unsupported` for adapters other than LoRA
 */
export function openAdapter(folder: string): Adapter {
  const file = join(folder, "adapter_config.json");
  const config = readConfig(file);
  const weights = WEIGHTS.map((name) => join(folder, name)).find((path) => existsSync(path));
  if (weights === undefined) throw badInput(`${folder}: no weights here; looked for ${WEIGHTS.join(", ")}`);
  const container = openContainer(weights);
  return { folder, files: container.files, changes: changesOf(file, config, container) };
}

function readConfig(file: string): Config {
  if (!existsSync(file)) {
    throw badInput(`${file}: no such file`, "--lora takes the folder that PEFT's save_pretrained wrote");
  }
  const result = v.safeParse(schema, parseJson(file, readSmallFile(file, MAX_CONFIG_BYTES)));
  if (!result.success) {
    const faults = result.issues.map((issue) => `${v.getDotPath(issue) ?? "the whole"}: ${issue.message}`);
    throw badInput(`${file}: ${faults.join("; ")}`);
  }
  const config = result.output;
  const what =
    config.peft_type !== "LORA"
      ? `an adapter of type ${config.peft_type}`
      : config.use_dora === true
        ? "a DoRA adapter"
        : config.lora_bias === true
          ? "biases of the adapter's own"
          : config.layer_replication != null
            ? "an adapter that repeats layers"
            : undefined;
  if (what === undefined) return config;
  throw new LlqError("unsupported", `${file}: ${what}`, {
    hint: "LoRA is supported; merge others with PEFT",
  });
}

/** lora_A and lora_B of a linear layer; of an embedding they have another name and the weight is their product's transpose. */
const FACTORS = /^(.*)\.lora_(?:(embedding)_)?([AB])(?:\.weight)?$/;

function changesOf(file: string, config: Config, container: Container): Map<string, Change> {
  const where = container.files[0]!;
  const changes = new Map<string, Change>();
  for (const [stored, source] of container.tensors) {
    if (!stored.startsWith(PREFIX)) {
      throw badInput(`${where}: tensor ${stored} does not begin with ${PREFIX}`, "is it an adapter of PEFT?");
    }
    const [, module, embedding, factor] = FACTORS.exec(stored.slice(PREFIX.length)) ?? [];
    if (module === undefined) {
      // An embedding that the adapter was saved with, perhaps of more tokens, is the base layer of its module.
      const name = stored.slice(PREFIX.length).replace(".base_layer.", ".");
      changes.set(name, { ...changes.get(name), by: source });
      continue;
    }
    const other = container.tensors.get(otherFactor(stored, factor!));
    if (other === undefined)
      throw badInput(`${where}: tensor ${stored} has no ${otherFactor(stored, factor!)}`);
    if (factor === "B") continue;
    const name = `${module}.weight`;
    const add = added(file, config, module, [other, source], embedding !== undefined);
    changes.set(name, { ...changes.get(name), add });
  }
  if (changes.size === 0) throw badInput(`${where}: no tensors`, "is it an adapter of PEFT?");
  return changes;
}

function otherFactor(name: string, factor: string): string {
  const at = name.lastIndexOf(`_${factor}`) + 1;
  return `${name.slice(0, at)}${factor === "A" ? "B" : "A"}${name.slice(at + 1)}`;
}

function added(
  file: string,
  config: Config,
  module: string,
  [b, a]: readonly [TensorSource, TensorSource],
  isEmbedding: boolean,
): NonNullable<Change["add"]> {
  const rank = patternValue(file, config.rank_pattern, module) ?? config.r;
  const alpha = patternValue(file, config.alpha_pattern, module) ?? config.lora_alpha;
  if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[0] !== rank || b.shape[1] !== rank) {
    throw badInput(
      `${file}: rank ${rank}, but ${module} has A of ${a.shape.join(" x ")} and B of ${b.shape.join(" x ")}`,
    );
  }
  const scale = alpha / (config.use_rslora === true ? Math.sqrt(rank) : rank);
  // (b a)' is a' b'
  const isTransposed = isEmbedding || config.fan_in_fan_out === true;
  return isTransposed ? { b: transposed(a), a: transposed(b), scale } : { b, a, scale };
}

/** The value for a module: of the first key that is its name or the end of it, as PEFT takes them. */
function patternValue(
  file: string,
  pattern: Readonly<Record<string, number>> | null | undefined,
  module: string,
): number | undefined {
  for (const [key, value] of Object.entries(pattern ?? {})) {
    // PEFT takes keys for regular expressions; those of a stranger could run for ever.
    if (!/^[\w.-]+$/.test(key)) {
      throw new LlqError("unsupported", `${file}: the pattern ${JSON.stringify(key.slice(0, 80))}`, {
        hint: "names of modules are supported, not expressions; merge the adapter with PEFT",
      });
    }
    if (module === key || module.endsWith(`.${key}`)) return value;
  }
  return undefined;
}
