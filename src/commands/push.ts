import { createHash } from "node:crypto";
import { basename } from "node:path";
import { Command, Option } from "commander";
import * as v from "valibot";
import { readSmallFile, readText } from "../../formats/bytes.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { parseJson } from "../../formats/json.js";
import { HubClient } from "../hub/http.js";
import { hashFile, type PushedFile, pushFiles } from "../hub/push.js";
import { formatHubReference, type HubReference, parseHubReference } from "../hub/reference.js";
import { readHubSettings } from "../hub/settings.js";
import { t } from "../language/t.js";
import { type CardFile, type Measured, modelCard } from "../report/card.js";
import type { PUSHED } from "../report/documents/write.js";
import { hashTensors } from "../run/measure/hash.js";
import { writeOutput } from "../run/write/output.js";
import { createProgress, formatBytes, interruptible, printJson, printLine } from "../ui.js";
import { openGguf } from "./shared/gguf.js";
import { forceOption, jsonOption, repeatable } from "./shared/options.js";

interface PushCommandOptions {
  readonly results?: readonly string[];
  readonly base?: string;
  readonly readme?: string;
  readonly card?: string;
  readonly message?: string;
  readonly create?: "public" | "private";
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

export const pushCommand = new Command("push")
  .summary(t`upload GGUFs with a model card to the Hugging Face Hub; says what it would do without --yes`)
  .description(
    t`Put GGUF files and a model card (what was measured, types, commands, hashes) into a repository of the Hub, all in one
commit. Without --yes nothing is sent: it prints what would be, and the card. HF_TOKEN must be allowed to write.`,
  )
  .argument("<repository>", t`owner/name, with @branch behind it if it is not main`)
  .argument("<files...>", t`GGUF files; of one that is cut, the first`)
  .addOption(
    repeatable("--results <file>", t`what llq compare --json or eval-ppl --json has printed, for the card`),
  )
  .addOption(
    new Option(
      "--base <model>",
      t`owner/name of the model that they were made from (default: as the files say)`,
    ),
  )
  .addOption(new Option("--readme <file>", t`take this as the card`))
  .addOption(new Option("--card <file>", t`write the card to a file, too`))
  .addOption(new Option("--message <text>", t`title of the commit`))
  .addOption(
    new Option("--create <visibility>", t`create the repository if there is none`).choices([
      "public",
      "private",
    ]),
  )
  .addOption(new Option("-y, --yes", t`upload what would be said without it`))
  .addOption(forceOption(t`replace files of the repository, and the file of --card`))
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
Examples:
  llq compare ./Llama-3.2-1B q4.gguf q8.gguf --text wiki.test.raw --json > results.json
  llq push me/Llama-3.2-1B-GGUF q4.gguf q8.gguf --results results.json --base meta-llama/Llama-3.2-1B
  llq push me/Llama-3.2-1B-GGUF q4.gguf q8.gguf --results results.json --create private --yes`,
  )
  .action(async (repository: string, paths: string[], options: PushCommandOptions) => {
    const reference = repositoryOf(repository);
    const settings = readHubSettings();
    if (options.yes) checkAccess(settings);
    const measured = (options.results ?? []).map(readResults);
    const progress = createProgress("push", options.json);
    const pushed = await interruptible(async (signal) => {
      const files = await readFiles(paths, signal, (done, total) => progress.update(done, total, "hashing"));
      const card =
        options.readme === undefined
          ? cardOf(files, reference, measured, options)
          : readText(options.readme, MAX_CARD);
      if (options.card !== undefined) writeOutput(options.card, Buffer.from(card), options.force ?? false);
      const all = [...files.flatMap(pushedFiles), textFile("README.md", card)];
      if (!options.yes) return { all, card, result: undefined };
      const title =
        options.message ?? `Upload ${files.map(({ parts }) => parts[0]!.path).join(", ")} with llq`;
      const result = await pushFiles(new HubClient(settings, signal), reference, all, {
        title,
        create: options.create,
        force: options.force,
        signal,
        onProgress: (done, total, path) => progress.update(done, total, path),
      });
      return { all, card, result };
    }).finally(() => progress.stop());
    const { all, card, result } = pushed;
    const { owner, name, revision } = reference;
    const url = `${settings.endpoint}/${owner}/${name}`;
    if (options.json) {
      const files = all.map(({ path, byteLength, sha256 }) => ({ path, byteLength, sha256 }));
      printJson<typeof PUSHED>({
        schema: 1,
        url,
        branch: revision,
        uploaded: result !== undefined,
        commit: result?.commit,
        unchanged: result?.unchanged,
        files,
        card,
      });
      return;
    }
    for (const { path, byteLength } of all) {
      const kept = result?.unchanged.includes(path) ? t`, there already` : "";
      printLine(`${path}: ${formatBytes(byteLength)}${kept}`);
    }
    if (result !== undefined) {
      printLine(t`${url}: commit ${result.commit}`);
      return;
    }
    printLine(t`nothing was sent to ${url}; --yes does it. README.md would be:`);
    printLine();
    for (const line of card.replace(/\n$/, "").split("\n")) printLine(line);
  });

/** Bytes of a card. */
const MAX_CARD = 4 << 20;
const MAX_RESULTS = 64 << 20;
const MAX_VALUES = 2 ** 22;

function repositoryOf(text: string): HubReference {
  const reference = parseHubReference(text.startsWith("hf:") ? text : `hf:${text}`);
  if (reference.path === "") return reference;
  throw new LlqError("usage", t`${text}: names a file; files go to the repository under their own names`, {
    hint: formatHubReference({ ...reference, path: "" }).replace("hf:", ""),
  });
}

function checkAccess({ token, offline, endpoint }: ReturnType<typeof readHubSettings>): void {
  if (offline) throw new LlqError("usage", t`HF_HUB_OFFLINE is set: nothing can be pushed`);
  if (token !== undefined) return;
  throw new LlqError("usage", t`${endpoint}: who pushes must say who it is`, {
    hint: t`set HF_TOKEN to a token that may write, or hf auth login`,
  });
}

/** The files with all that the card says of them. @throws LlqError `usage` for two of one name */
async function readFiles(
  paths: readonly string[],
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<(CardFile & { readonly files: readonly string[] })[]> {
  const containers = await Promise.all(paths.map((path) => openGguf(path, "push")));
  const names = containers.flatMap(({ files }) => files.map((file) => basename(file)));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new LlqError("usage", t`two files are called ${twice}`, { hint: t`rename one` });
  const total = containers.reduce(
    (sum, { tensors }) =>
      sum + 2 * [...tensors.values()].reduce((bytes, { byteLength }) => bytes + byteLength, 0),
    0,
  );
  let done = 0;
  const result = [];
  for (const container of containers) {
    const parts = [];
    for (const file of container.files) {
      const hash = await hashFile(file, signal, (count) => {
        done += count;
        onProgress(Math.min(done, total), total);
      });
      parts.push({ path: basename(file), ...hash });
    }
    const before = done;
    const [line] = await hashTensors(container, {
      digests: ["sha256"],
      tensors: false,
      signal,
      onProgress: (count) => {
        done = before + count;
        onProgress(Math.min(done, total), total);
      },
    });
    result.push({ container, parts, tensorsSha256: line!.value, files: container.files });
  }
  return result;
}

function pushedFiles({ parts, files }: Awaited<ReturnType<typeof readFiles>>[number]): PushedFile[] {
  return parts.map((part, i) => ({ ...part, content: { file: files[i]! } }));
}

function cardOf(
  files: readonly CardFile[],
  { owner, name }: HubReference,
  results: readonly ReturnType<typeof readResults>[],
  { base }: PushCommandOptions,
): string {
  return modelCard(files, {
    repository: `${owner}/${name}`,
    base,
    measured: results.flatMap(({ measured }) => measured),
    extents: results.map(({ extent }) => extent),
  });
}

/** What the card takes of results; documents may have more. */
const Estimate = v.object({ value: v.number(), error: v.optional(v.number()) });
const Result = v.object({
  model: v.string(),
  perplexity: v.nullable(v.number()),
  error: v.nullable(v.number()),
  divergence: v.optional(v.object({ kld: Estimate, sameTop: Estimate })),
});
const Results = v.union([
  v.object({
    text: v.string(),
    context: v.number(),
    chunks: v.number(),
    base: Result,
    models: v.array(Result),
  }),
  v.object({ ...Result.entries, text: v.optional(v.string()), context: v.number(), chunks: v.number() }),
]);

/** @throws LlqError `bad-input` for what is no such document */
function readResults(path: string): { readonly measured: Measured[]; readonly extent: string } {
  const { success, output } = v.safeParse(
    Results,
    parseJson(path, readSmallFile(path, MAX_RESULTS), MAX_VALUES),
  );
  if (!success)
    throw badInput(
      t`${path}: no results`,
      t`llq compare --json and llq eval-ppl --json print such documents`,
    );
  const models = "models" in output ? [output.base, ...output.models] : [output];
  const { text, context, chunks } = output;
  return {
    measured: models.map(({ model, perplexity, error, divergence }) => ({
      name: basename(model),
      perplexity: perplexity ?? undefined,
      perplexityError: error ?? undefined,
      kld: divergence?.kld.value,
      kldError: divergence?.kld.error,
      sameTop: divergence?.sameTop.value,
    })),
    extent: `Measured by llq on ${text === undefined ? "a text" : basename(text)}: ${chunks} chunks of ${context} tokens.`,
  };
}

function textFile(path: string, text: string): PushedFile {
  const bytes = Buffer.from(text);
  return {
    path,
    byteLength: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    content: { text },
  };
}
