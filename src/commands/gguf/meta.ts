import { Command, Option } from "commander";
import { readText } from "../../../formats/bytes.js";
import type { Container, Metadata } from "../../../formats/container.js";
import { LlqError } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import { checkGguf, planCopy } from "../../quant/copy.js";
import { editMetadata, parseSet, parseSpecialToken } from "../../quant/meta-edit.js";
import type { KeyValue } from "../../quant/metadata.js";
import type { METADATA } from "../../report/documents/look.js";
import { printJson, printTable, warn } from "../../ui.js";
import { GGUF_ARGUMENT, openGguf, writeCopies } from "../shared/gguf.js";
import { metadataRows, printKey, shortValue, typeText } from "../shared/metadata.js";
import { forceOption, jsonOption, repeatable } from "../shared/options.js";
import { describeContainer } from "../shared/source.js";

interface MetaOptions {
  readonly output?: string;
  readonly key?: string;
  readonly set?: readonly string[];
  readonly setFile?: readonly string[];
  readonly chatTemplate?: string;
  readonly specialToken?: readonly string[];
  readonly remove?: readonly string[];
  readonly force?: boolean;
  readonly json?: boolean;
}

export const metaCommand = new Command("meta")
  .summary(t`list, set or remove a GGUF's metadata`)
  .description(
    t`List the metadata of a GGUF file of any architecture, or copy it with other metadata. The file itself stays as it is.`,
  )
  .argument("<model>", GGUF_ARGUMENT)
  .addOption(new Option("-o, --output <file>", t`GGUF file to write, with the changes`))
  .addOption(new Option("-k, --key <key>", t`print one value alone, arrays in full`))
  .addOption(
    repeatable("--set <key=[type:]value>", t`set a value; a new key needs a type, an array is a JSON list`),
  )
  .addOption(repeatable("--set-file <key=file>", t`set a text to what a file holds`))
  .addOption(new Option("--chat-template <file>", t`the same for tokenizer.chat_template`))
  .addOption(
    repeatable("--special-token <name=token>", t`set bos, eos, eot and so on, by the token's text or its id`),
  )
  .addOption(repeatable("--remove <key>", t`leave a key out`))
  .addOption(forceOption())
  .addOption(jsonOption())
  .addHelpText(
    "after",
    `
${t`Examples:`}
  llq meta model.gguf
  llq meta model.gguf --key tokenizer.chat_template
  llq meta model.gguf -o out.gguf --set general.name="My model" --set llama.context_length=8192
  llq meta model.gguf -o out.gguf --set general.tags='string[]:["chat", "zh"]' --remove general.url
  llq meta model.gguf -o out.gguf --chat-template chat.jinja --special-token eos='<|im_end|>'

${t`Types: u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, bool, string, with [] behind for arrays; int, float, bool and
str as in --override-kv.`}`,
  )
  .action(async (path: string, options: MetaOptions) => {
    const { output, key, json } = options;
    if (output === undefined) {
      refuseChanges(path, options);
      const container = await describeContainer(path, options);
      checkGguf(path, container, "meta");
      show(path, container, key, json);
      return;
    }
    if (key !== undefined)
      throw new LlqError("usage", t`--key prints a value, and -o writes a file: one of them`);
    const container = await openGguf(path, "meta", options);
    const { metadata } = container;
    const edited = editMetadata(metadata, { remove: options.remove, set: changes(options, metadata) });
    warnOfChanges(metadata, edited);
    await writeCopies("meta", container, [planCopy(container, output, edited)], { ...options, output });
  });

function refuseChanges(
  path: string,
  { set, setFile, chatTemplate, specialToken, remove }: MetaOptions,
): void {
  if ([set, setFile, chatTemplate, specialToken, remove].every((option) => option === undefined)) return;
  throw new LlqError("usage", t`${path}: an input is never changed; -o names the file with the changes`, {
    hint: t`llq meta ${path} -o out.gguf ...`,
  });
}

function changes(options: MetaOptions, metadata: Metadata): KeyValue[] {
  const { set = [], setFile = [], chatTemplate, specialToken = [] } = options;
  const files = setFile.map((text) => {
    const [, key, file] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
    if (key === undefined) throw new LlqError("usage", t`--set-file ${text}: not of the form key=file`);
    return [key, file!] as const;
  });
  if (chatTemplate !== undefined) files.push(["tokenizer.chat_template", chatTemplate]);
  return [
    ...set.map((text) => parseSet(text, metadata)),
    ...files.map(([key, file]) => [key, meta.string(readText(file, MAX_TEXT))] as const),
    ...specialToken.map((text) => parseSpecialToken(text, metadata)),
  ];
}

/** Bytes of a text in a file's metadata. */
const MAX_TEXT = 1 << 24;

/** Without these llama.cpp does not load a file. */
const NEEDED = ["general.architecture"];

function warnOfChanges(before: Metadata, after: Metadata): void {
  for (const key of NEEDED) {
    if (before.has(key) && !after.has(key)) warn(t`without ${key} no program knows what the file is`);
  }
  for (const [key, field] of after) {
    const old = before.get(key);
    if (old === undefined || typeText(old) === typeText(field)) continue;
    warn(t`${key} was ${typeText(old)} and is ${typeText(field)} now: programs may not read it`);
  }
}

function show(path: string, { metadata, files }: Container, key: string | undefined, json = false): void {
  if (key !== undefined) {
    printKey(path, metadata, key, json);
    return;
  }
  if (json) {
    const keys = [...metadata].map(([name, field]) => [
      name,
      { type: typeText(field), value: shortValue(field) },
    ]);
    printJson<typeof METADATA>({ schema: 1, path, files, metadata: Object.fromEntries(keys) });
    return;
  }
  const rows = metadataRows(metadata);
  printTable(
    [t`key`, t`type`, t`value`],
    [...metadata.values()].map((field, i) => [rows[i]![0]!, typeText(field), rows[i]![1]!]),
  );
}
