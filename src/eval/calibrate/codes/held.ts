import type { DTypeName } from "../../../../formats/dtype.js";
import type { Kernels } from "../../../kernels/kernels.js";
import { floatsOf, loadColumns, type Matrix, roundUp } from "../moments/moments.js";

/** Tokens that are kept out of the moments, to judge by. */
export interface Held {
  readonly tokens: number;
  /** x̂ [tokens][columns] */
  readonly x: Matrix;
  /** x - x̂ [tokens][columns], or what is missing [tokens][rows]; undefined: nothing. */
  readonly wanted: { readonly of: "input" | "output"; readonly values: Matrix } | undefined;
}

/** Rows of weights that are judged, [rows][n] at `w`, in groups of four, and where in their matrix they are. */
interface Judged {
  readonly job: { readonly dtype: DTypeName; readonly matrixRow: number };
  readonly n: number;
  readonly rows: number;
  readonly groups: number;
  readonly w: number;
}

/** Tokens that are judged together. */
const HELD_TOKENS = 256;

/** For each of some ways to store the rows, and each row, Σ over the tokens that are kept out of (what is wanted - (Ŵ - W) · x̂)². */
export function heldErrors(
  kernels: Kernels,
  { job: { dtype, matrixRow }, n, rows, groups, w }: Judged,
  held: Held,
  ways: readonly number[],
): Float64Array[] {
  const errors = ways.map(() => new Float64Array(rows));
  const mark = kernels.mark();
  const lost = kernels.reserve(groups * 16 * n);
  const packed = ways.map((stored) => {
    kernels.toF32(dtype, stored, lost, rows * n);
    const own = kernels.reserve(groups * 16 * n);
    const [values, weights] = [kernels.floats(lost, rows * n), kernels.floats(w, rows * n)];
    for (let i = 0; i < values.length; i++) values[i]! -= weights[i]!;
    kernels.call("pack_panels4")(lost, n * 4, rows, n, own);
    return own;
  });
  kernels.call("pack_panels4")(w, n * 4, rows, n, lost);
  const inner = kernels.mark();
  const { wanted } = held;
  for (let first = 0; first < held.tokens; first += HELD_TOKENS) {
    const tokens = Math.min(HELD_TOKENS, held.tokens - first);
    const stride = roundUp(tokens, 8);
    const x = packTokens(kernels, held.x, first, tokens, n);
    const made = packed.map((own) => multiplyTokens(kernels, own, x, tokens, n, groups));
    const missing =
      wanted?.of === "input"
        ? multiplyTokens(
            kernels,
            lost,
            packTokens(kernels, wanted.values, first, tokens, n),
            tokens,
            n,
            groups,
          )
        : undefined;
    const m = missing === undefined ? undefined : kernels.floats(missing, groups * 4 * stride);
    const values = wanted?.of === "output" ? floatsOf(wanted.values) : undefined;
    for (const [i, each] of made.entries()) {
      const y = kernels.floats(each, groups * 4 * stride);
      const sums = errors[i]!;
      for (let row = 0; row < rows; row++) {
        for (let t = 0; t < tokens; t++) {
          const want =
            m?.[row * stride + t] ?? values?.[(first + t) * wanted!.values.columns + matrixRow + row] ?? 0;
          const off = want - y[row * stride + t]!;
          sums[row]! += off * off;
        }
      }
    }
    kernels.reset(inner);
  }
  kernels.reset(mark);
  return errors;
}

/** Some tokens of x in panels of eight. */
function packTokens(kernels: Kernels, x: Matrix, first: number, tokens: number, n: number): number {
  const packed = kernels.reserve(roundUp(tokens, 8) * n * 4);
  const mark = kernels.mark();
  const raw = loadColumns(kernels, x, first, tokens, 0, n);
  kernels.call("pack_panels8")(raw, n * 4, tokens, n, packed);
  kernels.reset(mark);
  return packed;
}

/** y[rows][tokens] = packed rows · packed tokensᵀ, rows of y as long as tokens in eights. */
function multiplyTokens(
  kernels: Kernels,
  rows: number,
  x: number,
  tokens: number,
  n: number,
  groups: number,
): number {
  const stride = roundUp(tokens, 8);
  const y = kernels.reserve(groups * 4 * stride * 4);
  kernels.bytes(y, groups * 16 * stride).fill(0);
  kernels.call("add_panels")(rows, n * 16, x, n * 32, y, stride * 4, groups * 4, stride, n);
  return y;
}
