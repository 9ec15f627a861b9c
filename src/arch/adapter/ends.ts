import type { Role } from "../../role.js";
import type { Tensor } from "../../tensor.js";
import type { Architecture } from "../architecture.js";
import { basePrefix } from "../checkpoint/names.js";
import type { Adapter, Change } from "./adapter.js";

/** What an adapter does to a tensor, and by which of the adapter's names. */
export interface NamedChange {
  readonly name: string;
  readonly change: Change;
}

/** What an adapter does to the embedding and to the output, which may be one. */
export interface EndChanges {
  /** The model's; with an output of its own, where the adapter parts the two. */
  readonly tensors: readonly Tensor[];
  readonly changes: ReadonlyMap<Tensor, NamedChange>;
  /** Names in the adapter that are dealt with. */
  readonly names: readonly string[];
}

/**
 * Changes of the embedding and of the output, found by their roles: of a tied model there is one tensor, which the
 * checkpoint may have by either name. As in PEFT, an adapter of one of the two changes that one alone, and the model
 * has an output of its own from then on; unless the adapter keeps them tied, or brings the base's weights again.
 */
export function changesOfEnds(
  architecture: Architecture,
  tensors: readonly Tensor[],
  adapter: Adapter,
): EndChanges {
  const embedding = tensors.find(({ role }) => role === "token_embd");
  const output = tensors.find(({ role }) => role === "output");
  const [ofEmbedding, ofOutput] = [
    changeOf(architecture, "token_embd", adapter),
    changeOf(architecture, "output", adapter),
  ];
  const found = [ofEmbedding, ofOutput].filter((each) => each !== undefined);
  const names = found.map(({ name }) => name);
  if (embedding === undefined || embedding.sources.length !== 1 || found.length === 0) {
    return { tensors, changes: new Map(), names: [] };
  }
  if (output !== undefined) {
    const pairs: [Tensor, NamedChange | undefined][] = [
      [embedding, ofEmbedding],
      [output, ofOutput],
    ];
    return { tensors, changes: given(pairs), names };
  }
  const base = found.find(({ change }) => change.by !== undefined && change.isBase)?.change.by;
  const parts = found.some(({ change }) => change.add !== undefined || !change.isBase);
  if (adapter.keepsTied || !parts) {
    return { tensors, changes: new Map([[embedding, found[0]!]]), names };
  }
  const own: Tensor = { ...embedding, ...outputRow(architecture) };
  const pairs: [Tensor, NamedChange | undefined][] = [
    [embedding, withBase(ofEmbedding ?? { name: names[0]!, change: {} }, base)],
    [own, withBase(ofOutput ?? { name: names[0]!, change: {} }, base)],
  ];
  return { tensors: [...tensors, own], changes: given(pairs), names };
}

function given(pairs: readonly (readonly [Tensor, NamedChange | undefined])[]): Map<Tensor, NamedChange> {
  return new Map(
    pairs.flatMap(([tensor, change]) => (change === undefined ? [] : [[tensor, change] as const])),
  );
}

/** What a tied base is replaced by shows in both, but where the adapter has a copy of its own. */
function withBase({ name, change }: NamedChange, base: Change["by"]): NamedChange {
  return { name, change: { ...(base && { by: base }), ...change } };
}

function outputRow({ tensors }: Architecture): Pick<Tensor, "name" | "role"> {
  const { name, role } = tensors.find(({ role }) => role === "output")!;
  return { name, role };
}

/** By any name that a checkpoint may have for the role, with the prefix of the family's modules or without. */
function changeOf(architecture: Architecture, role: Role, { changes }: Adapter): NamedChange | undefined {
  const { tensors } = architecture;
  const prefix = basePrefix(architecture);
  const sources = tensors.filter((row) => row.role === role).flatMap(({ source }) => source ?? []);
  const name = sources.flatMap((each) => [each, prefix + each]).find((each) => changes.has(each));
  return name === undefined ? undefined : { name, change: changes.get(name)! };
}
