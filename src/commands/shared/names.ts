import { existsSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { LlqError } from "../../../formats/errors.js";
import { isHubReference, parseHubReference } from "../../hub/reference.js";
import { t } from "../../language/t.js";

/** What an output is called without -o, in the folder that the program runs in. */
export const DEFAULT_PATTERN = "{name}-{type}.gguf";

export interface NameOptions {
  /** A name, or a pattern of one. */
  readonly output?: string | undefined;
  readonly force?: boolean | undefined;
  readonly resume?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

/**
 * The output of each type of the model: -o with `{name}` and `{type}` filled in. What the user has not named never replaces
 * anything.
 * @param types undefined when they are chosen one by one, and have no name together
 * @throws LlqError `usage` for a pattern that gives no names, or the same ones
 */
export function outputNames(
  model: string,
  types: readonly string[] | undefined,
  options: NameOptions,
): string[] {
  const pattern = options.output ?? DEFAULT_PATTERN;
  if (types === undefined && pattern.includes("{type}")) {
    const why = t`types are chosen one by one for a size, so there is none to name the file by`;
    throw new LlqError(
      "usage",
      options.output === undefined ? t`${why}, and -o is missing` : `${pattern}: ${why}`,
      {
        hint: "-o <file>",
      },
    );
  }
  const twice = types?.find((type, i) => types.indexOf(type) !== i);
  if (twice !== undefined) throw new LlqError("usage", t`--type has ${twice} twice`);
  if (types !== undefined && types.length > 1) checkSeveral(pattern);
  const name = pattern.includes("{name}") ? modelName(model) : "";
  const outputs = (types ?? [""]).map((type) =>
    pattern.replace(/\{(name|type)\}/g, (_, key) => (key === "name" ? name : type)),
  );
  if (options.output === undefined) checkUnnamed(outputs, options);
  return outputs;
}

function checkSeveral(pattern: string): void {
  if (!basename(pattern).includes("{type}")) {
    throw new LlqError("usage", t`${pattern}: is one name for several types`, {
      hint: `-o '${DEFAULT_PATTERN}'`,
    });
  }
  if (dirname(pattern).includes("{type}")) {
    throw new LlqError("usage", t`${pattern}: outputs of one run stand in one folder`, {
      hint: t`{type} in the name of the file alone`,
    });
  }
}

function checkUnnamed(outputs: readonly string[], { force, dryRun }: NameOptions): void {
  if (force) {
    throw new LlqError("usage", t`--force replaces a file, and none is named`, { hint: `-o ${outputs[0]}` });
  }
  const there = outputs.find((output) => existsSync(output));
  if (there === undefined || dryRun) return;
  throw new LlqError("usage", t`${there}: exists already`, {
    hint: t`-o names another; -o ${there} --force replaces it`,
  });
}

/** Files that are called alike whatever the model: the folder has its name. */
const NAMELESS = /^(model|pytorch_model|flax_model|consolidated(\.\d+)?)$/;
const ENDINGS = /\.(gguf|(safetensors|bin)(\.index\.json)?|pth?|msgpack)$/i;
const PART = /-\d{5}-of-\d{5}$/;
const FLOATS = /[-._](f32|f16|bf16|fp32|fp16)$/i;

/** What people call the model: its repository, folder or file, without the ending, the part, and the float type it is in. */
export function modelName(model: string): string {
  const path = isHubReference(model) ? repositoryPath(model) : resolve(model);
  const file = basename(path);
  const stem = file.replace(ENDINGS, "").replace(PART, "");
  const isNameless = ENDINGS.test(file) && NAMELESS.test(stem);
  const name = (isNameless ? basename(dirname(path)) : stem).replace(FLOATS, "");
  if (name !== "") return name;
  throw new LlqError("usage", t`${model}: has no name to call the output by`, { hint: "-o <file>" });
}

function repositoryPath(reference: string): string {
  const { owner, name, path } = parseHubReference(reference);
  return ENDINGS.test(path) ? `/${owner}/${name}/${path}` : `/${owner}/${name}`;
}
