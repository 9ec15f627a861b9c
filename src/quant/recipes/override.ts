import { DTYPES, type DTypeName, dtype, findDType } from "../../../formats/dtype.js";
import { LlqError, nearest } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Tensor } from "../../tensor.js";

/** A type for the tensors that a role, a glob over names or a regular expression picks. */
export interface Override {
  /** As the user wrote it. */
  readonly pattern: string;
  readonly names: RegExp;
  readonly dtype: DTypeName;
}

/**
 * Reads `<role|glob|/expression/>=<type>`, such as `ffn_down=Q6_K`, `blk.[0-3].attn_v.weight=Q8_0` or
 * `/blk\.(0|31)\./=Q8_0`.
 * @throws LlqError `usage`
 */
export function parseOverride(text: string): Override {
  const [, expression, type] = /^\/(.+)\/=([^=/]+)$/.exec(text) ?? [];
  if (expression !== undefined) {
    const names = compileExpression(`--tensor /${expression}/`, expression);
    return { pattern: `/${expression}/`, names, dtype: findWritableType(type!) };
  }
  const [pattern, name, ...rest] = text.split("=");
  if (!pattern || !name || rest.length > 0) {
    throw new LlqError("usage", t`--tensor ${text}: a role or a glob, an equals sign and a type are needed`, {
      hint: t`--tensor ffn_down=Q6_K, --tensor 'blk.[0-3].*=Q8_0', or --tensor '/blk\\.(0|31)\\./=Q8_0'`,
    });
  }
  return { pattern, names: globToRegExp(pattern), dtype: findWritableType(name) };
}

/** A regular expression that is searched for in names. @param what the option, for the error. @throws LlqError `usage` */
export function compileExpression(what: string, expression: string): RegExp {
  // in JavaScript these are other classes, without an error
  if (/\[[.:=]/.test(expression)) {
    throw new LlqError("usage", t`${what}: classes such as [[:digit:]] are not understood`, {
      hint: "[0-9]",
    });
  }
  try {
    return new RegExp(expression);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/^.*: /, "") : "";
    throw new LlqError("usage", t`${what}: not a regular expression: ${why}`, { cause });
  }
}

/** A type that tensors can be written in. @throws LlqError `usage` naming them, and the nearest to an unknown name */
export function findWritableType(name: string): DTypeName {
  const found = findDType(name);
  if (found !== undefined && dtype(found).kernels !== "read") return found;
  const names = DTYPES.map((row) => row.name).filter((each) => dtype(each).kernels !== "read");
  const known = t`known: ${names.join(", ")}`;
  if (found !== undefined) {
    throw new LlqError("usage", t`tensor type ${name} can be read but not written`, { hint: known });
  }
  const near = nearest(name, names);
  throw new LlqError("usage", t`tensor type ${name} is unknown`, {
    hint: `${near === undefined ? "" : t`did you mean ${near}? `}${known}`,
  });
}

/** Whether the pattern is the tensor's role, a glob that fits its whole name, or an expression found in it. */
export function matches(
  { pattern, names }: Override,
  { name, role }: Pick<Tensor, "name" | "role">,
): boolean {
  return pattern === role || names.test(name);
}

/** `*` is any text, `?` any character, `[0-3]` one of those. @throws LlqError `usage` */
export function globToRegExp(glob: string, option = "--tensor"): RegExp {
  const parts = glob.match(/\[[\w-]+\]|./gsu) ?? [];
  const source = parts.map((part) => {
    if (part === "*") return ".*";
    if (part === "?") return ".";
    return part.length > 1 ? part : part.replace(/[\\^$.+()[\]{}|/]/, "\\$&");
  });
  try {
    return new RegExp(`^${source.join("")}$`, "s");
  } catch (cause) {
    throw new LlqError("usage", t`${option} ${glob}: not a glob`, {
      hint: t`a range goes up, as in [0-3]`,
      cause,
    });
  }
}
