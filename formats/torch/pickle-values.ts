/** What a pickle builds; lists are arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleValue[]
  | PickleTuple
  | PickleDict
  | PickleGlobal
  | PickleCall
  | PickleReference;

export interface PickleTuple {
  readonly kind: "tuple";
  readonly items: readonly PickleValue[];
}

/** A dict or an OrderedDict. A state dict has an empty one for each tensor, so the map is made when it is needed. */
export interface PickleDict {
  readonly kind: "dict";
  entries: Map<PickleValue, PickleValue> | undefined;
}

/** A function, class or constant of Python's: its name, nothing more. */
export interface PickleGlobal {
  readonly kind: "global";
  readonly name: string;
}

/** What a function or class would be called with. */
export interface PickleCall {
  readonly kind: "call";
  readonly callee: PickleGlobal;
  readonly args: readonly PickleValue[];
}

/** Something kept outside the pickle. */
export interface PickleReference {
  readonly kind: "reference";
  readonly id: PickleValue;
}

export const ORDERED_DICT = "collections.OrderedDict";

/** Whether a value is of that kind; a type guard. */
export function isKind<K extends Tagged["kind"]>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<Tagged, { readonly kind: K }> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && value.kind === kind;
}

type Tagged = PickleTuple | PickleDict | PickleGlobal | PickleCall | PickleReference;
