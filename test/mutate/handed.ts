import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { type AssemblyModule, Copy } from "./copy.js";

/** A defect that a test must notice. */
const mutation = v.strictObject({
  /** The point of the list it belongs to, of those of 29 November 2026; K for kernels. */
  point: v.string(),
  /** What it does to a user. */
  what: v.string(),
  file: v.string(),
  /** Text that stands in the file once. */
  from: v.string(),
  to: v.string(),
  /** The test file that fails, and a part of the test's name. */
  test: v.string(),
  name: v.optional(v.string()),
  /** What has to be assembled for it. */
  module: v.optional(v.picklist(["kernels", "products-plain", "generation-plain"])),
});
export type Mutation = v.InferOutput<typeof mutation>;

export function readMutations(root: string): Mutation[] {
  return v.parse(v.array(mutation), JSON.parse(readFileSync(join(root, "test/mutations.json"), "utf8")));
}

/** The file with the mutation in it. @throws Error when the text to be replaced is not there just once */
export function mutated(text: string, { file, from, to }: Mutation): string {
  const parts = text.split(from);
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${from}`);
  return parts.join(to);
}

/** Applies those mutations whose point, file or words have `filter` in them, one at a time. @returns how many lived */
export function runHanded(root: string, filter: string): number {
  const chosen = readMutations(root).filter(
    ({ point, file, what, test }) =>
      filter === "" ||
      filter === point ||
      [file, what, test].some((each) => filter.length > 3 && each.includes(filter)),
  );
  const copy = new Copy(root);
  let lived = 0;
  try {
    for (const each of chosen) {
      const started = performance.now();
      const verdict = judge(copy, each);
      if (verdict !== "killed") lived++;
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`${verdict.padEnd(8)} ${each.point.padEnd(4)} ${each.what}  (${each.test}, ${seconds} s)`);
    }
  } finally {
    copy.remove();
  }
  console.log(`${chosen.length} mutations: ${chosen.length - lived} killed, ${lived} not`);
  return lived;
}

/** One that does not build, or whose tests do not load, proves nothing. */
function judge(copy: Copy, each: Mutation): string {
  const original = copy.read(each.file);
  copy.write(each.file, mutated(original, each));
  const module: AssemblyModule | undefined = each.module;
  try {
    const built = module === undefined ? copy.bundle() : copy.assemble(module);
    if (!built.ok) return `DOES NOT BUILD\n${built.printed}`;
    const { ok, timedOut, printed } = copy.test([each.test], { name: each.name });
    if (ok) return /tests: 0 passed/.test(printed) ? "NO TEST" : "LIVED";
    return timedOut || /✗|×|FAIL/.test(printed) ? "killed" : `NOT RUN\n${printed}`;
  } finally {
    copy.write(each.file, original);
    if (module !== undefined) copy.restoreModules();
  }
}
