import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Metadata, MetaField } from "../../../formats/container.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { textConfig } from "../../../src/arch/checkpoint/text-config.js";
import { type HParams, readHParams } from "../../../src/arch/hparams.js";
import { architectureOfConfig } from "../../../src/arch/index.js";
import { refusal } from "../../support/build/build.js";
import { GOLDEN_FAMILIES } from "../../support/families.js";

// Every key of every family's GGUF: of another type, out of bounds, of another value.

const families = readdirSync(GOLDEN_FAMILIES).flatMap((name) => {
  const file = join(GOLDEN_FAMILIES, name, "config.json");
  if (!existsSync(file)) return [];
  const config = textConfig(JSON.parse(readFileSync(file, "utf8")));
  const architecture = architectureOfConfig(file, config);
  const { keys } = architecture.read(file, config);
  const metadata: Metadata = new Map([
    ["general.architecture", meta.string(architecture.name)],
    ...keys.map(([key, field]) => [`${architecture.name}.${key}`, field] as const),
  ]);
  return [{ name, metadata, keys }];
});

/** What is read with another field, or the refusal. */
function read(metadata: Metadata, key = "", field?: MetaField): string {
  let hparams: HParams | undefined;
  const refused = refusal(() => {
    hparams = readHParams("x", field === undefined ? metadata : new Map([...metadata, [key, field]]));
  });
  const plain = (_: string, value: unknown) => (Math.abs(Number(value)) === Infinity ? String(value) : value);
  return hparams === undefined ? refused : JSON.stringify(hparams, plain);
}

/** What no reader of numbers looks at: of tensors' order, of pictures, of layers that predict further tokens. */
const UNREAD = /\.(tensor_data_layout|n_deepstack_layers|nextn_predict_layers|rope\.dimension_sections)$/;
/** Lists of flags are any numbers; a single number or word in their place is as good as none. */
const FLAGS =
  /\.(attention\.(indexer\.types|recurrent_layers|rope_pattern|sliding_window_pattern)|expert_layers)$/;
/** Beside another that says the same: an epsilon of RMS norms, flags for each layer, the attention's factor itself. */
const OVERRULED: readonly [key: RegExp, families: RegExp][] = [
  [/\.layer_norm_epsilon$/, /^nemotron$/],
  [/\.full_attention_interval$/, /./],
  [/\.yarn_attn_factor$/, /^olmo3$/],
  [/\.rope\.scaling\.factor$/, /^hunyuan/], // 1, beside a base that has it
];

const isOverruled = (key: string, name: string) =>
  UNREAD.test(key) || OVERRULED.some(([keys, names]) => keys.test(key) && names.test(name));

function* fields(): Generator<{ name: string; metadata: Metadata; key: string; field: MetaField }> {
  for (const { name, metadata } of families) {
    for (const [key, field] of metadata) {
      if (key !== "general.architecture" && !isOverruled(key, name)) yield { name, metadata, key, field };
    }
  }
}

/** Values that a key cannot have. */
function wrongs(key: string, { type, item, value }: MetaField): MetaField[] {
  if (typeof value === "string") return [meta.u32(3)];
  if (typeof value === "boolean") return [meta.u32(1)];
  if (Array.isArray(value)) {
    const longer: MetaField = { type, ...(item && { item }), value: [...value, value[0]!] };
    const isSigned = FLAGS.test(key) || item === "f32" || item === "bool";
    const word = FLAGS.test(key) || item === "bool" ? [] : [meta.string("x")];
    return [longer, ...word, ...(isSigned ? [] : [{ ...longer, value: value.map(() => -1) }])];
  }
  const bounds = [-1, Number.NaN, Number.POSITIVE_INFINITY].map(meta.f32);
  const isCount = type === "u32" && !/temperature_length$/.test(key);
  return [meta.string("x"), ...bounds, ...(isCount ? [meta.f32(Number(value) + 0.5)] : [])];
}

describe("of a GGUF's numbers, whatever the family", () => {
  test("one of another type, or out of bounds, is refused by name", () => {
    let count = 0;
    const accepted: string[] = [];
    for (const { name, metadata, key, field } of fields()) {
      for (const wrong of wrongs(key, field)) {
        count++;
        const said = read(metadata, key, wrong);
        if (!said.startsWith("bad-input: x: ") || !said.includes(key))
          accepted.push(`${key} = ${wrong.value} of ${name}: ${said.slice(0, 60)}`);
      }
    }
    expect(accepted).toEqual([]);
    expect(count).toBeGreaterThan(8000);
  });

  test("each makes a difference", () => {
    const unheard: string[] = [];
    for (const { name, metadata, key, field } of fields()) {
      const { value } = field;
      if (typeof value !== "number" && typeof value !== "boolean") continue;
      const other = typeof value === "number" ? (value === 0 ? 1 : value * 2) : !value;
      if (read(metadata, key, { ...field, value: other }) === read(metadata))
        unheard.push(`${key} of ${name}`);
    }
    expect(unheard).toEqual([]);
  });
});
