import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { TensorSource } from "../../../formats/container.js";
import { openContainer } from "../../../formats/open.js";
import { textConfig } from "../../../src/arch/checkpoint/text-config.js";
import { architectureOfConfig } from "../../../src/arch/index.js";
import { folderWeights } from "../../../src/model.js";
import { configOutline } from "../../../src/outline.js";
import { refusal } from "../../support/build/build.js";
import { GOLDEN_FAMILIES } from "../../support/families.js";

// Each flag of biases turned round, with the tensors that transformers' model then has: golden/make/bias_flags.py.

interface Turned {
  readonly added: Readonly<Record<string, readonly number[]>>;
  readonly removed: readonly string[];
}

const FLAGS: Readonly<Record<string, Readonly<Record<string, Turned>>>> = JSON.parse(
  readFileSync(new URL("../../golden/bias-flags.json", import.meta.url), "utf8"),
);

const shapes = (tensors: readonly { readonly name: string; readonly shape: readonly number[] }[]) =>
  Object.fromEntries(tensors.map(({ name, shape }) => [name, shape.join(" x ")]));

describe.each(Object.entries(FLAGS))("%s", (family, flags) => {
  const folder = join(GOLDEN_FAMILIES, family);
  const file = join(folder, "config.json");
  const whole = JSON.parse(readFileSync(file, "utf8"));
  const own = whole.text_config ?? whole;

  test.each(Object.entries(flags))(
    "%s turned round: its biases are read, or it is refused by name",
    (flag, { added, removed }) => {
      const changed = { ...own, [flag]: !own[flag] };
      const json = own === whole ? changed : { ...whole, text_config: changed };
      const opened = openContainer(folder);
      const tensors = new Map<string, TensorSource>(opened.tensors);
      expect(removed.filter((name) => !tensors.delete(name))).toEqual([]);
      for (const [name, shape] of Object.entries(added)) {
        const byteLength = 4 * shape.reduce((product, length) => product * length, 1);
        tensors.set(name, { file: 0, offset: 0, byteLength, shape, dtype: "F32" });
      }
      let said: Record<string, string> | undefined;
      const refused = refusal(() => {
        said = shapes(configOutline(family, file, json).tensors);
      });
      if (said === undefined) {
        expect(refused).toMatch(/^(bad-input|unsupported): /);
        expect(refused).toContain(flag);
        return;
      }
      const text = textConfig(json);
      const weights = folderWeights({ ...opened, tensors }, file, json, architectureOfConfig(file, text));
      expect(said).toEqual(shapes(configOutline(family, file, json, weights).tensors));
      const usual = shapes(configOutline(family, file, whole).tensors);
      const isOther = Object.keys(added).length + removed.length > 0;
      expect(Object.keys(said).length !== Object.keys(usual).length).toBe(isOther);
    },
  );
});
