import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../support/random.js";
import { llq, sha256, TINY_LLAMA } from "./run.js";

/** Pairs of runs with one output and other options: one complete file, and a refusal that says who writes it. */
export async function attackWriters(pairs: number, random: Random): Promise<string[]> {
  const cwd = mkdtempSync(join(tmpdir(), "llq-writers-"));
  const failures: string[] = [];
  let refused = 0;
  try {
    const args = (type: string, output: string) => [
      "quantize",
      TINY_LLAMA,
      "-o",
      output,
      "--type",
      type,
      "--force",
    ];
    const expected: Record<string, string> = {};
    for (const type of ["Q8_0", "Q4_K"]) {
      await llq(args(type, type), { cwd });
      expected[type] = sha256(join(cwd, type));
    }
    for (let i = 0; i < pairs; i++) {
      const runs = ["Q8_0", "Q4_K"].map(async (type, k) => {
        await delay(k * random.below(250));
        return { type, ...(await llq(args(type, "out.gguf"), { cwd })) };
      });
      const ended = await Promise.all(runs);
      const done = ended.filter(({ status }) => status === 0);
      const turned = ended.filter(
        ({ status, output }) => status === 2 && /is being written by process \d+ on /.test(output),
      );
      refused += turned.length;
      if (done.length === 0 || done.length + turned.length !== 2)
        failures.push(`pair ${i}: ${JSON.stringify(ended)}`);
      const found = sha256(join(cwd, "out.gguf"));
      if (!done.some(({ type }) => expected[type] === found)) failures.push(`pair ${i}: another file`);
      const left = readdirSync(cwd).filter((name) => name.includes(".partial"));
      if (left.length > 0) failures.push(`pair ${i}: left behind ${left}`);
      rmSync(join(cwd, "out.gguf"));
    }
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
  console.log(`${pairs} pairs of writers, ${refused} of them at once and refused`);
  return failures;
}
