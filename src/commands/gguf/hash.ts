import { basename } from "node:path";
import { Command, Option } from "commander";
import { readText } from "../../../formats/bytes.js";
import type { Container } from "../../../formats/container.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { HASH_CHECK, HASHES } from "../../report/documents/look.js";
import { DIGESTS, type Digest, type HashLine, hashTensors } from "../../run/measure/hash.js";
import { createProgress, interruptible, printJson, printLine, warn } from "../../ui.js";
import { GGUF_ARGUMENT, openGguf } from "../shared/gguf.js";
import { jsonOption, repeatable } from "../shared/options.js";

interface HashCommandOptions {
  readonly type?: readonly string[];
  readonly tensors: boolean;
  readonly check?: string;
  readonly json?: boolean;
}

/** Repeatable: each value is looked at by digestOf; shells offer them. */
function digestOption(): Option {
  const option = repeatable("-t, --type <name>", t`which hash; all without it`);
  option.argChoices = [...DIGESTS];
  return option;
}

export const hashCommand = new Command("hash")
  .summary(t`hashes of a GGUF's tensors, as gguf-hash prints them`)
  .description(
    t`Print hashes of each tensor's bytes and of all of them, in gguf-hash's lines. Metadata and the cut into parts do not change them.`,
  )
  .argument("<model>", GGUF_ARGUMENT)
  .addOption(digestOption())
  .addOption(new Option("--no-tensors", t`of all tensors together only`))
  .addOption(
    new Option(
      "-c, --check <manifest>",
      t`compare with lines that this command or gguf-hash wrote`,
    ).conflicts(["type", "tensors"]),
  )
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq hash model.gguf --type sha256 > model.gguf.manifest
  llq hash model.gguf --check model.gguf.manifest
  llq hash model.gguf --no-tensors`,
  )
  .action(async (path: string, options: HashCommandOptions) => {
    const digests = (options.type ?? DIGESTS).map(digestOf);
    const container = await openGguf(path, "hash", options);
    if (options.check !== undefined) {
      await check(path, container, options.check, options.json);
      return;
    }
    const lines = await hash(container, { digests, tensors: options.tensors }, options.json);
    if (options.json) printJson<typeof HASHES>({ schema: 1, path, hashes: lines });
    else for (const line of lines) printLine(lineText(path, line));
  });

function digestOf(name: string): Digest {
  const found = DIGESTS.find((digest) => digest === name.toLowerCase());
  if (found !== undefined) return found;
  throw new LlqError("usage", t`--type ${name}: unknown`, { hint: t`known: ${DIGESTS.join(", ")}` });
}

/** As gguf-hash writes it: the name in ten columns. */
function lineText(path: string, { digest, value, tensor }: HashLine): string {
  return `${digest.padEnd(10)}${value}  ${path}${tensor === undefined ? "" : `:${tensor}`}`;
}

async function hash(
  container: Container,
  what: { readonly digests: readonly Digest[]; readonly tensors: boolean },
  json: boolean | undefined,
): Promise<HashLine[]> {
  const progress = createProgress("hash", json);
  const onProgress = (done: number, total: number) => progress.update(done, total);
  return interruptible((signal) => hashTensors(container, { ...what, signal, onProgress })).finally(() =>
    progress.stop(),
  );
}

/** A manifest has more lines than a model has tensors, by a factor of the digests. */
const MAX_MANIFEST = 1 << 28;

/** @throws LlqError `gate` when a hash differs, or a tensor is on one side only */
async function check(path: string, container: Container, manifest: string, json?: boolean): Promise<void> {
  const { expected, others } = readManifest(manifest, path);
  if (others.size > 0) warn(t`${manifest}: lines of ${[...others].join(", ")} are passed over`);
  const digests = DIGESTS.filter((digest) => expected.some((line) => line.digest === digest));
  const tensors = expected.some(({ tensor }) => tensor !== undefined);
  const found = await hash(container, { digests, tensors }, json);
  const name = ({ digest, tensor = t`all tensors` }: HashLine) => t`${digest} of ${tensor}`;
  const byName = new Map(found.map((line) => [name(line), line]));
  const results = expected.map((line) => {
    const value = byName.get(name(line))?.value;
    return { ...line, found: value, passed: value === line.value };
  });
  const extra = tensors
    ? found.filter((line) => line.tensor !== undefined && !expected.some((each) => name(each) === name(line)))
    : [];
  if (json) printJson<typeof HASH_CHECK>({ schema: 1, path, manifest, results, extra: extra.map(name) });
  const wrong = results.filter(({ passed }) => !passed);
  if (!json) {
    for (const line of wrong)
      printLine(line.found === undefined ? t`missing: ${name(line)}` : t`differs: ${name(line)}`);
    for (const line of extra) printLine(t`not in the manifest: ${name(line)}`);
    printLine(t`${results.length - wrong.length} of ${results.length} hashes are those of ${manifest}`);
  }
  if (wrong.length + extra.length > 0) {
    throw new LlqError("gate", t`${path}: is not what ${manifest} says`);
  }
}

/** Lines for the file that has the model's name; those of a manifest of one file stand for any. */
function readManifest(manifest: string, path: string): { expected: HashLine[]; others: Set<string> } {
  const lines = readText(manifest, MAX_MANIFEST)
    .split(/\r?\n/)
    .filter((line) => line.trim() !== "");
  const others = new Set<string>();
  const all = lines.flatMap((line, i) => {
    const [, digest, value, rest] = /^(\w+)\s+([0-9a-f-]+)\s+(.+)$/.exec(line) ?? [];
    if (digest === undefined) {
      throw badInput(
        t`${manifest}: line ${i + 1} is no hash`,
        t`a digest, its value and a name, as gguf-hash writes them`,
      );
    }
    const known = DIGESTS.find((each) => each === digest);
    if (known === undefined) others.add(digest);
    const [file, tensor] = namesOf(rest!, path);
    return known === undefined ? [] : [{ digest: known, value: value!, tensor, file: basename(file) }];
  });
  const own = all.filter(({ file }) => file === basename(path));
  const files = new Set(all.map(({ file }) => file));
  const chosen = own.length > 0 || files.size > 1 ? own : all;
  if (chosen.length === 0)
    throw badInput(t`${manifest}: has no hash of ${basename(path)} that llq can check`);
  return { expected: chosen.map(({ digest, value, tensor }) => ({ digest, value, tensor })), others };
}

/** `file` or `file:tensor`. Both may have colons, so a file ends with .gguf, or is the model's, which may end otherwise. */
function namesOf(text: string, path: string): [file: string, tensor: string | undefined] {
  const own = [path, basename(path)].find((name) => text === name || text.startsWith(`${name}:`));
  const file = own ?? /^.*?\.gguf(?=:|$)/s.exec(text)?.[0] ?? text;
  return [file, text.slice(file.length + 1) || undefined];
}
