import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { COMMANDS } from "../../../src/commands/index.js";
import { scratchFolder, TINY_LLAMA } from "../../support/scratch.js";

// samples/cluster, by hand: what an engine would set is set, and its tasks run one after the other. npm run cluster has
// Slurm and GNU parallel run theirs.

const SAMPLES = new URL("../../../samples/cluster", import.meta.url).pathname;
const CLI = new URL("../../../dist/program/cli.js", import.meta.url).pathname;
const folder = scratchFolder();
const read = (name: string) => readFileSync(join(SAMPLES, name), "utf8");
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const bin = join(folder, "bin");

function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const path = `${bin}:${process.env["PATH"]}`;
  execFileSync(program, args, { env: { ...process.env, ...env, PATH: path }, cwd: folder, stdio: "pipe" });
}

let whole: string;
beforeAll(() => {
  mkdirSync(bin);
  writeFileSync(join(bin, "llq"), `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`, { mode: 0o755 });
  const output = join(folder, "whole.gguf");
  run("llq", ["quantize", TINY_LLAMA, "-o", output, "--bits", "4"]);
  whole = sha256(output);
});

/** The words of a container's command, on one line. */
function commandIn(name: string): string[] {
  const words = /^ {10}command: \[(.*)\]$/m.exec(read(name))![1]!;
  return words.split(", ").map((word) => word.replaceAll('"', ""));
}

test("every command and option that the samples show is there", async () => {
  const lines = readdirSync(SAMPLES).flatMap((name) => {
    const shown = [...read(name).matchAll(/(?:^ *|[`'[]|run: )(llq,? [a-z].*)/gm)].map(([, line]) => line!);
    return shown.map((line) => line.replaceAll(", ", " ").replace(/`.*/, ""));
  });
  expect(lines.length).toBeGreaterThan(8);
  for (const line of lines) {
    const command = await COMMANDS[line.split(" ")[1]!]?.();
    expect(command, line).toBeDefined();
    const options = command!.options.flatMap(({ long, short }) => [long, short]);
    for (const [option] of line.replace(/"[^"]*"/g, "").matchAll(/(?<= )--?[a-z][\w-]*/g))
      expect(options, line).toContain(option);
  }
}, 600_000);

test("Slurm: the tasks of an array, in any order, and the job that finishes", () => {
  const env = { MODEL: TINY_LLAMA, OUT: join(folder, "of slurm.gguf"), PARTS: "4", SLURM_CPUS_PER_TASK: "1" };
  for (const id of ["3", "1", "4", "2"])
    run("bash", [join(SAMPLES, "slurm-part.sh")], { ...env, SLURM_ARRAY_TASK_ID: id });
  run("bash", [join(SAMPLES, "slurm-finish.sh")], env);
  expect(sha256(env.OUT)).toBe(whole);
});

test("Kubernetes: the pods of an indexed Job, whose number of completions is that of the parts", () => {
  const parts = /^ {2}completions: (\d+)/m.exec(read("kubernetes-parts.yaml"))![1]!;
  mkdirSync(join(folder, "out"));
  const here = (name: string) =>
    commandIn(name).map((word) =>
      word.replace(/^\/model$/, TINY_LLAMA).replace(/^\/out/, join(folder, "out")),
    );
  const [program, ...args] = here("kubernetes-parts.yaml");
  expect(args.at(-1)).toBe(`k8s/${parts}`);
  for (let index = 0; index < Number(parts); index++)
    run(program!, args, { JOB_COMPLETION_INDEX: `${index}` });
  const [finish, ...rest] = here("kubernetes-finish.yaml");
  run(finish!, rest);
  expect(sha256(join(folder, "out/model-q4.gguf"))).toBe(whole);
});

test("GitHub Actions: runners without a disk in common, and what they upload in one folder", () => {
  const workflow = read("github-actions.yml");
  const matrix = /part: \[([\d, ]+)\]/.exec(workflow)![1]!.split(", ");
  const steps = [...workflow.matchAll(/^ +- run: ((?:llq|mkdir) .*)$/gm)].map(([, line]) => line!);
  expect(steps).toHaveLength(3);
  const [make, quantize, finish] = steps as [string, string, string];
  expect(quantize).toContain(`/${matrix.length}`);
  const script = (part: string) =>
    quantize
      .replace(/\$\{\{ matrix\.part \}\}/, part)
      .replace("--split-max-size 1G", "--split-max-size 400K");
  const env = { MODEL: TINY_LLAMA };
  for (const part of matrix) {
    const runner = join(folder, `runner-${part}`);
    mkdirSync(runner);
    run("bash", ["-ec", `cd ${runner}; ${make}; ${script(part)}`], env);
  }
  const last = join(folder, "runner-last");
  run("bash", [
    "-ec",
    `mkdir -p ${last}/out; cp ${folder}/runner-[0-9]*/out/* ${last}/out; cd ${last}; ${finish}`,
  ]);
  mkdirSync(join(folder, "alone"));
  const alone = quantize.replace(/ --part .*/, "").replace("1G", "400K");
  run("bash", ["-ec", `cd ${join(folder, "alone")}; ${make}; ${alone}`], env);
  const files = readdirSync(join(folder, "alone/out"));
  expect(files.length).toBeGreaterThan(matrix.length);
  expect(readdirSync(join(last, "out"))).toEqual(files);
  for (const file of files)
    expect(sha256(join(last, "out", file))).toBe(sha256(join(folder, "alone/out", file)));
}, 600_000);
