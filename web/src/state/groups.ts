import { GROUPS, type Group, type PlanInfo, type PlannedTensor } from "../engine/protocol.js";

/** The tensors of one purpose, added up. */
export interface GroupSum {
  readonly group: Group | "header";
  readonly count: number;
  /** The types that most bytes have, the most first. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** A plan in a few rows; those without tensors are left out. The last is what the file has beside them. */
export function sumGroups(plan: PlanInfo): readonly GroupSum[] {
  const sums = GROUPS.flatMap((group) => {
    const tensors = plan.tensors.filter((tensor) => tensor.group === group);
    return tensors.length === 0 ? [] : [sumOf(group, tensors)];
  });
  const rest = plan.byteLength - total(plan.tensors, (tensor) => tensor.bytesAfter);
  const header = { group: "header", count: 0, from: [], to: [], bytesBefore: 0, bytesAfter: rest } as const;
  return rest > 0 ? [...sums, header] : sums;
}

function sumOf(group: Group, tensors: readonly PlannedTensor[]): GroupSum {
  return {
    group,
    count: tensors.length,
    from: typesOf(tensors, ({ from, bytesBefore }) => [from, bytesBefore]),
    to: typesOf(tensors, ({ to, bytesAfter }) => [to, bytesAfter]),
    bytesBefore: total(tensors, (tensor) => tensor.bytesBefore),
    bytesAfter: total(tensors, (tensor) => tensor.bytesAfter),
  };
}

function typesOf(
  tensors: readonly PlannedTensor[],
  of: (tensor: PlannedTensor) => readonly [type: string, bytes: number],
): string[] {
  const bytes = new Map<string, number>();
  for (const tensor of tensors) {
    const [type, more] = of(tensor);
    bytes.set(type, (bytes.get(type) ?? 0) + more);
  }
  return [...bytes].sort(([, a], [, b]) => b - a).map(([type]) => type);
}

export function total<T>(all: readonly T[], of: (each: T) => number): number {
  return all.reduce((sum, each) => sum + of(each), 0);
}
