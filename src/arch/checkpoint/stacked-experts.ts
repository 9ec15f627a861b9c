import type { Container, TensorSource } from "../../../formats/container.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { rowsOf } from "../../rows/packed/index.js";
import type { Architecture } from "../architecture.js";

/** What transformers 5 stacks, and which of the family's matrices are below each other in it. */
const STACKS = [
  { name: "gate_up_proj", roles: ["ffn_gate_exps", "ffn_up_exps"] },
  { name: "down_proj", roles: ["ffn_down_exps"] },
] as const;

/**
 * The checkpoint with a matrix for each expert, where it has them stacked as transformers 5 computes with them:
 * `experts.gate_up_proj` [experts, 2 × rows, columns] and `experts.down_proj`. Nothing moves: each is a part of the stack.
 * @throws LlqError `bad-input` for stacks of other shapes, `unsupported` for views
 */
export function withoutStacks(container: Container, { tensors: rows }: Architecture): Container {
  let tensors: Map<string, TensorSource> | undefined; // a copy, when there is something to change
  for (const { name, roles } of STACKS) {
    const patterns = roles.map((role) => {
      const row = rows.find((each) => each.role === role);
      return [row?.source ?? []].flat().filter((source) => source.includes(".{e}."));
    });
    for (const [i, first] of (patterns[0] ?? []).entries()) {
      const [prefix, suffix] = first.slice(0, first.indexOf(".{e}.")).split("{i}") as [string, string?];
      const stack = new RegExp(`^${escaped(prefix)}(\\d+)${escaped(suffix ?? "")}\\.${name}(\\.weight)?$`);
      for (const [stored, source] of container.tensors) {
        const layer = stack.exec(stored)?.[1];
        if (layer === undefined) continue;
        tensors ??= new Map(container.tensors);
        tensors.delete(stored);
        const targets = patterns.map((each) => each[i]!.replace("{i}", layer));
        for (const [target, part] of cutStack(container, stored, source, targets)) {
          addPublished(container, tensors, stored, target, part);
        }
      }
    }
  }
  return tensors === undefined ? container : { ...container, tensors };
}

/**
 * Each expert's matrices of a stack [experts, targets × rows, columns], by names with `{e}` for the expert.
 * @throws LlqError `bad-input` for stacks of other shapes, `unsupported` for views
 */
export function* cutStack(
  { files }: Container,
  name: string,
  source: TensorSource,
  targets: readonly string[],
): Generator<[string, TensorSource]> {
  const where = files[source.file];
  const { shape, strides, coded, runs } = source;
  if (strides !== undefined || runs !== undefined) {
    throw new LlqError("unsupported", t`${where}: stacked experts ${name} that are a view`);
  }
  const [experts, rows, columns] = shape;
  const isEmpty = source.byteLength === 0; // so many experts of nothing would take memory that the file does not have
  if (shape.length !== 3 || isEmpty || experts! > MAX_EXPERTS || rows! % targets.length !== 0) {
    throw badInput(t`${where}: stacked experts ${name} are ${shape.join(" x ")}`);
  }
  const byteLength = source.byteLength / (experts! * targets.length);
  const some = rows! / targets.length;
  const base = { ...source, shape: [experts! * rows!, columns!] };
  for (let e = 0; e < experts!; e++) {
    for (const [i, target] of targets.entries()) {
      const part = e * targets.length + i;
      const own =
        coded === undefined
          ? { ...source, offset: source.offset + part * byteLength, byteLength, shape: [some, columns!] }
          : rowsOf(base, part * some, some);
      yield [target.replace("{e}", String(e)), own];
    }
  }
}

const MAX_EXPERTS = 2 ** 17;

/**
 * Adds what is `stored` under another name by the name that it was published under.
 * @throws LlqError `bad-input` when there is a tensor of that name: nobody knows which of the two is meant
 */
export function addPublished(
  { files }: Container,
  tensors: Map<string, TensorSource>,
  stored: string,
  name: string,
  source: TensorSource,
): void {
  if (tensors.has(name)) {
    throw badInput(t`${files[source.file]}: has ${name} twice, once as ${stored}`, t`remove one of the two`);
  }
  tensors.set(name, source);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
