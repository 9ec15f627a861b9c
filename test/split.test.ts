import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Container } from "../formats/container.js";
import { openContainer } from "../formats/open.js";
import { openModel } from "../src/model.js";
import { verify } from "../src/run/verify.js";
import { scratchFolder } from "./scratch.js";
import { PRESETS, writeSynthetic } from "./synthetic.js";

const folder = scratchFolder();
const cli = new URL("../dist/src/cli.js", import.meta.url).pathname;

function llq(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

function hashes({ files, tensors }: Container): Map<string, string> {
  const contents = files.map((file) => readFileSync(file));
  const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  return new Map(
    [...tensors].map(([name, { file, offset, byteLength }]) => [
      name,
      hash(contents[file]!.subarray(offset, offset + byteLength)),
    ]),
  );
}

test("--keep-split writes as many files as the model has, which are read as one", async () => {
  const model = join(folder, "model");
  writeSynthetic(model, PRESETS.tiny, { shardBytes: 3e6 });
  const shards = readdirSync(model).filter((name) => name.endsWith(".safetensors")).length;
  expect(shards).toBeGreaterThan(2);
  const [one, parts] = [join(folder, "one.gguf"), join(folder, "parts.gguf")];
  llq("quantize", model, "-o", one, "--type", "Q4_0");
  const { files } = JSON.parse(
    llq("quantize", model, "-o", parts, "--type", "Q4_0", "--keep-split", "--json"),
  );
  const names = files.map(({ output }: { output: string }) => output);
  const five = (n: number) => String(n).padStart(5, "0");
  expect(names).toEqual(
    Array.from({ length: shards }, (_, i) => join(folder, `parts-${five(i + 1)}-of-${five(shards)}.gguf`)),
  );
  const joined = openModel(names[0]);
  expect(joined.container.files).toEqual(names);
  expect(hashes(joined.container)).toEqual(hashes(openContainer(one)));
  expect([...joined.metadata.keys()]).toEqual([...openModel(one).metadata.keys()]);
  const verdicts = await verify(joined, openModel(model), { threads: 0 });
  expect(verdicts.filter(({ verdict }) => verdict !== "identical")).toEqual([]);
});
