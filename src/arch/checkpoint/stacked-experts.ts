import type { Container, TensorSource } from "../../../formats/container.js";
import { dtype } from "../../../formats/dtype.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import type { Architecture } from "../architecture.js";

/** What transformers 5 stacks, and which of the family's matrices are below each other in it. */
const STACKS = [
  { name: "gate_up_proj", roles: ["ffn_gate_exps", "ffn_up_exps"] },
  { name: "down_proj", roles: ["ffn_down_exps"] },
] as const;

/**
 * The checkpoint with a matrix for each expert, where it has them stacked as transformers 5 computes with them:
 * `experts.gate_up_proj` [experts, 2 × rows, columns] and `experts.down_proj`, or as the family has it otherwise. Biases
 * stay [experts, rows]. Nothing moves: each is a part of the stack.
 * @throws LlqError `bad-input` for stacks of other shapes, `unsupported` for views and packed ones
 */
export function withoutStacks(container: Container, architecture: Architecture): Container {
  const { tensors: rows, expertStacks = "rowsFirst" } = architecture;
  let tensors: Map<string, TensorSource> | undefined; // a copy, when there is something to change
  for (const { name, roles } of STACKS) {
    const patterns = roles.map((role) => {
      const row = rows.find((each) => each.role === role);
      return [row?.source ?? []].flat().filter((source) => source.includes(".{e}."));
    });
    for (const [i, first] of (patterns[0] ?? []).entries()) {
      const [prefix, suffix] = first.slice(0, first.indexOf(".{e}.")).split("{i}") as [string, string?];
      const stack = new RegExp(
        `^${escaped(prefix)}(\\d+)${escaped(suffix ?? "")}\\.${name}(?:\\.weight|([._]bias))?$`,
      );
      for (const [stored, source] of container.tensors) {
        const [, layer, bias] = stack.exec(stored) ?? [];
        if (layer === undefined) continue;
        tensors ??= new Map(container.tensors);
        tensors.delete(stored);
        const targets = patterns.map((each) => each[i]!.replace("{i}", layer));
        const parts =
          bias === undefined
            ? cut(container, stored, source, targets, expertStacks)
            : cutBias(container, stored, source, targets, expertStacks);
        for (const [target, part] of parts) tensors.set(target, part);
      }
    }
  }
  return tensors === undefined ? container : { ...container, tensors };
}

type Form = "rowsFirst" | NonNullable<Architecture["expertStacks"]>;

function* cut(
  { files }: Container,
  name: string,
  source: TensorSource,
  targets: readonly string[],
  form: Form,
): Generator<[string, TensorSource]> {
  const where = files[source.file];
  checkPlain(where, name, source);
  const { shape } = source;
  const experts = shape[0]!;
  const [rows, columns] = form === "rowsFirst" ? shape.slice(1) : shape.slice(1).toReversed();
  if (shape.length !== 3 || experts > MAX_EXPERTS || rows! % targets.length !== 0) {
    throw badInput(`${where}: stacked experts ${name} are ${shape.join(" x ")}`);
  }
  const own = rows! / targets.length;
  const { typeSize } = dtype(source.dtype);
  const byteLength = source.byteLength / (experts * targets.length);
  for (let e = 0; e < experts; e++) {
    const expert = source.offset + e * targets.length * byteLength;
    for (const [i, target] of targets.entries()) {
      const place = { rowsFirst: i * byteLength, columnsFirst: i * own * typeSize, inTurn: i * typeSize };
      const strides = { rowsFirst: undefined, columnsFirst: [1, rows!], inTurn: [targets.length, rows!] }[
        form
      ];
      const part = { ...source, offset: expert + place[form], byteLength, shape: [own, columns!] };
      yield [target.replace("{e}", String(e)), strides === undefined ? part : { ...part, strides }];
    }
  }
}

/** Biases [experts, rows], by the name of the matrices without an expert's number. */
function* cutBias(
  { files }: Container,
  name: string,
  source: TensorSource,
  targets: readonly string[],
  form: Form,
): Generator<[string, TensorSource]> {
  const where = files[source.file];
  checkPlain(where, name, source);
  const [experts, rows] = source.shape as readonly [number, number];
  if (source.shape.length !== 2 || rows % targets.length !== 0) {
    throw badInput(`${where}: biases of experts ${name} are ${source.shape.join(" x ")}`);
  }
  const own = rows / targets.length;
  const { typeSize } = dtype(source.dtype);
  for (const [i, target] of targets.entries()) {
    const to = target.replace(".{e}.", ".").replace(/weight$/, "bias");
    const [first, step] = form === "inTurn" ? [i, targets.length] : [i * own, 1];
    const shape = [experts, own];
    const part = { ...source, offset: source.offset + first * typeSize, shape };
    yield [to, targets.length === 1 ? source : { ...part, strides: [rows, step] }];
  }
}

function checkPlain(where: string | undefined, name: string, { strides, coded, runs }: TensorSource): void {
  if (strides === undefined && coded === undefined && runs === undefined) return;
  throw new LlqError("unsupported", `${where}: stacked experts ${name} that are packed, or a view`);
}

const MAX_EXPERTS = 2 ** 17;

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
