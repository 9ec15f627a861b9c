import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { textConfig } from "../../src/arch/checkpoint/text-config.js";
import { architectureOfConfig } from "../../src/arch/index.js";

// Tests of all families take minutes, and a mutant in one family's file needs those of its own checkpoints alone.

/** Tests that have a family's name in front of their own; and those that go through all in no time. */
export const FAMILY_TESTS = ["test/arch/families-refused.test.ts", "test/arch/families.test.ts"];
export const FIELD_TESTS = [
  ...["test/arch/configs/fields.test.ts", "test/arch/configs/keys.test.ts"],
  "test/commands/readme.test.ts",
];

/** Of each file in src/arch/families that has architectures, what begins the names of their checkpoints' tests. */
export async function testsOfFamilies(root: string): Promise<Map<string, string>> {
  const golden = join(root, "test/golden/families");
  const checkpoints = readdirSync(golden).flatMap((name) => {
    if (!existsSync(join(golden, name, "reference.json"))) return [];
    const file = join(golden, name, "config.json");
    return [
      { name, architecture: architectureOfConfig(file, textConfig(JSON.parse(readFileSync(file, "utf8")))) },
    ];
  });
  const found = new Map<string, string>();
  for (const file of readdirSync(join(root, "src/arch/families"))) {
    const module = await import(`../../src/arch/families/${basename(file, ".ts")}.js`);
    const exported: unknown[] = Object.values(module).flat();
    const names = checkpoints
      .filter(({ architecture }) => exported.includes(architecture))
      .map(({ name }) => name);
    const escaped = names.map((name) => name.replaceAll(".", "\\."));
    if (names.length > 0) found.set(`src/arch/families/${file}`, `^(${escaped.join("|")}) `);
  }
  return found;
}
