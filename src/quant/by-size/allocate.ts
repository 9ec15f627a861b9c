import type { DTypeName } from "../../../formats/dtype.js";

/** A type that a tensor could have. */
export interface Option {
  readonly dtype: DTypeName;
  /** What it takes of the file. */
  readonly bytes: number;
  /** What it costs; less is better. */
  readonly price: number;
}

/** What a chosen type costs, beside the next smaller type and the next larger one that costs less. */
export interface Quote {
  readonly price: number;
  readonly smaller: Option | undefined;
  readonly larger: Option | undefined;
}

/**
 * Chooses an option for each tensor so that together they take at most `capacity` bytes and the sum of prices is
 * small. On the lower convex hull of a tensor's options every further byte buys less than the one before, so buying
 * the best bargain anywhere, again and again, gives the optimum of the Lagrangian (Everett, Operations Research 11,
 * 1963) for every capacity it passes; the first step that does not fit ends that. What is left is spent on whatever
 * still fits, hull or not, the best bargain first. The result is within one step of one tensor of the optimum.
 * Among equals the earlier tensor comes first.
 * @returns each tensor's option; undefined when even the smallest options do not fit
 */
export function allocate(
  tensors: readonly (readonly Option[])[],
  capacity: number,
): readonly Option[] | undefined {
  const hulls = tensors.map(lowerHull);
  const chosen = hulls.map((hull) => hull[0]!);
  const bytesOf = (tensor: number) => tensors[tensor]![chosen[tensor]!]!.bytes;
  let left = capacity - chosen.reduce((sum, _, tensor) => sum + bytesOf(tensor), 0);
  if (left < 0) return undefined;
  const steps = hulls.flatMap((hull, tensor) =>
    hull.slice(1).map((to, i) => ({ tensor, to, ...gain(tensors[tensor]!, hull[i]!, to) })),
  );
  // The sort is stable, and a hull's own steps stay in order: each buys less than the one before.
  steps.sort((a, b) => b.perByte - a.perByte);
  for (const { tensor, to, bytes } of steps) {
    if (bytes > left) break;
    chosen[tensor] = to;
    left -= bytes;
  }
  for (;;) {
    const best = bestThatFits(tensors, chosen, left);
    if (best === undefined) return chosen.map((to, tensor) => tensors[tensor]![to]!);
    left -= best.bytes;
    chosen[best.tensor] = best.to;
  }
}

/** What going from an option to another takes and saves. */
function gain(options: readonly Option[], from: number, to: number): { bytes: number; perByte: number } {
  const bytes = options[to]!.bytes - options[from]!.bytes;
  const saved = options[from]!.price - options[to]!.price;
  return { bytes, perByte: bytes > 0 ? saved / bytes : saved * Number.MAX_SAFE_INTEGER };
}

/** Indices of the options on the lower convex hull of (bytes, price), from the smallest to the least price. */
function lowerHull(options: readonly Option[]): number[] {
  const order = options.map((_, i) => i);
  order.sort((a, b) => options[a]!.bytes - options[b]!.bytes || options[a]!.price - options[b]!.price);
  const hull: number[] = [];
  for (const i of order) {
    const last = hull.at(-1);
    if (last !== undefined && options[i]!.price >= options[last]!.price) continue;
    while (hull.length > 1) {
      const [before, top] = [hull.at(-2)!, hull.at(-1)!];
      if (gain(options, before, top).perByte > gain(options, top, i).perByte) break;
      hull.pop();
    }
    hull.push(i);
  }
  return hull;
}

function bestThatFits(
  tensors: readonly (readonly Option[])[],
  chosen: readonly number[],
  left: number,
): { tensor: number; to: number; bytes: number } | undefined {
  let best: { tensor: number; to: number; bytes: number; perByte: number } | undefined;
  for (const [tensor, options] of tensors.entries()) {
    for (const to of options.keys()) {
      const step = { tensor, to, ...gain(options, chosen[tensor]!, to) };
      const isBetter = options[to]!.price < options[chosen[tensor]!]!.price && step.bytes <= left;
      if (isBetter && step.perByte > (best?.perByte ?? 0)) best = step;
    }
  }
  return best;
}
