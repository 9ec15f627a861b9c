import * as v from "valibot";
import type { RawSource } from "../../../formats/container.js";
import { t } from "../../language/t.js";
import { locateAwq } from "./awq.js";
import { groupSize, wholeNumber } from "./config.js";
import { type GptqCoding, gptq, locateGptq } from "./gptq.js";
import { refuseOthers } from "./groups.js";
import type { Packing } from "./packing.js";
import type { Parts } from "./parts.js";

const module = v.looseObject({ bits: v.nullish(wholeNumber), group_size: v.nullish(groupSize) });

const fields = v.looseObject({
  bits: v.optional(wholeNumber, 4),
  group_size: groupSize,
  data_type: v.nullish(v.string()),
  packing_format: v.nullish(v.string()),
  /** As versions before 0.4 call it. */
  backend: v.nullish(v.string()),
  extra_config: v.nullish(v.record(v.string(), module)),
});

type Settings = v.InferOutput<typeof fields>;

/** Layers as GPTQ's, with zeros less one or as they are, or as AWQ's. */
const FORMATS: Readonly<Record<string, 0 | 1 | "awq">> = {
  auto: 1,
  "auto_round:auto_gptq": 1,
  "auto_round:gptq": 1,
  auto_round: 0,
  "auto_round:exllamav2": 0,
  "auto_round:tritonv2": 0,
  "auto_round:gptqmodel": 0,
  "auto_round:auto_awq": "awq",
  "auto_round:awq": "awq",
};

/** GPTQ's and AWQ's layouts under AutoRound's name; modules may have bits and groups of their own. */
export const autoRound: Packing<GptqCoding, Settings> = {
  ...gptq,
  title: "AutoRound",
  methods: ["auto-round", "intel/auto-round"],
  fields,

  locate(parts, name, raw, settings) {
    const format = settings.packing_format ?? settings.backend ?? "unnamed";
    const form = Object.hasOwn(FORMATS, format) ? FORMATS[format]! : undefined;
    if (form === undefined) {
      return parts.unsupported(t`AutoRound's packing_format ${format}`, Object.keys(FORMATS).join(", "));
    }
    const { data_type: type = "int" } = settings;
    if (type !== "int" && type !== "int_sym" && type !== "int_asym" && type !== null) {
      return parts.unsupported(t`AutoRound with numbers of the type ${type}`, "int");
    }
    refuseOthers(parts, settings, ["rotation_config", "hadamard_config", "transform_config", "super_bits"]);
    const { bits, columns, groups } = numbersOf(parts, name, raw, form === "awq");
    const others = Object.values(settings.extra_config ?? {});
    if (bits !== settings.bits && !others.some((each) => each.bits === bits)) {
      parts.fail(t`${name} is of ${bits} bits, and no module is said to be`);
    }
    if (form === "awq" && bits !== 4) return parts.unsupported(t`AWQ with ${bits} bits`, "4");
    const sizes = [settings.group_size, ...others.flatMap(({ group_size: size }) => size ?? [])];
    const fitting = sizes
      .map((size) => (size === -1 ? columns : size))
      .filter((size) => Math.ceil(columns / size) === groups);
    const [size, other] = new Set(fitting.map((each) => Math.min(each, columns)));
    if (size === undefined || other !== undefined) {
      return parts.fail(
        t`${name} has ${groups} groups of ${columns} columns, of ${other === undefined ? t`no known size` : t`several sizes`}`,
      );
    }
    if (form === "awq") return locateAwq(parts, name, raw, size);
    return locateGptq(parts, name, raw, { bits, groupSize: size, zeroOffset: form });
  },
};

/** What the shapes of a layer's tensors say of it: a module's own settings may be named by expressions. */
function numbersOf(
  parts: Parts,
  name: string,
  raw: RawSource,
  isAwq: boolean,
): { bits: number; columns: number; groups: number } {
  const stem = name.replace(/\.qweight$/, "");
  const zeros = parts.raw(`${stem}.qzeros`);
  const [down] = parts.integers(name, raw, 2) as [number, number];
  if (zeros === undefined) return parts.fail(t`${stem} has no qzeros or no scales`);
  const [groups, words] = parts.integers(`${stem}.qzeros`, zeros, 2) as [number, number];
  const scales = parts.peek(`${stem}.scales`)?.shape;
  if (scales?.length !== 2) return parts.fail(t`${stem} has no qzeros or no scales`);
  const bits = (words * 32) / scales[1]!;
  if (!Number.isInteger(bits) || bits < 2 || bits > 8) {
    return parts.fail(t`${stem}.qzeros is ${groups} x ${words}, and scales of ${scales.join(" x ")}`);
  }
  return { bits, columns: isAwq ? down : (down * 32) / bits, groups };
}
