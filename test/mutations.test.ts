import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mutated, readMutations } from "./mutate/handed.js";

const root = new URL("../", import.meta.url).pathname;

// `npm run mutate -- handed` puts each in and has its test fail; here is only that it can be put in. Where the code has
// changed, the defect is to be put into the new code, and its test looked for by that command.
test.each(readMutations(root))("$file: $what", (each) => {
  const text = readFileSync(join(root, each.file), "utf8");
  expect(mutated(text, each)).not.toBe(text);
  expect(existsSync(join(root, each.test))).toBe(true);
  expect(each.file.startsWith("assembly/")).toBe(each.module !== undefined);
});
