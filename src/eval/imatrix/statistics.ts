import { badInput } from "../../../formats/errors.js";
import { type ImatrixEntry, type ImatrixSums, openImatrixSums } from "../../../formats/imatrix/imatrix.js";
import { t } from "../../language/t.js";

// The figures of `llama-imatrix --show-statistics` (llama.cpp 0c1e57098), in f32 and in its order of additions, so that they
// are the same to the last digit that it prints.

/** What an importance matrix says of the inputs of one matrix. Activations are means of squares, one for each column. */
export interface MatrixStatistics {
  readonly tensor: string;
  /** The block it is in; undefined for one beside the blocks. */
  readonly layer: number | undefined;
  /** What the matrix is called in each block, such as `ffn_down`. */
  readonly name: string;
  /** Of all activations. */
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Standard deviation. */
  readonly deviation: number;
  /** Share of the columns that are above 1e-5. */
  readonly active: number;
  /** Columns; of experts those that saw a token. */
  readonly columns: number;
  /** In bits, of the activations as shares of their sum. */
  readonly entropy: number;
  /** Share of the largest that so many columns can have. */
  readonly evenness: number;
  /** Share of the columns that lie more than a standard deviation above the mean (Z-score distribution). */
  readonly outliers: number;
  /** Cosine of the angle to the same matrix of the block before; 0 where there is none. */
  readonly similarity: number;
}

/** Means over the matrices of a block, by their columns. */
export interface LayerStatistics {
  readonly layer: number;
  readonly sum: number;
  readonly outliers: number;
  readonly similarity: number;
}

export interface ImatrixStatistics {
  /** By name, those of one name by their sum, largest first. */
  readonly matrices: readonly MatrixStatistics[];
  readonly layers: readonly LayerStatistics[];
  /** Entries that no token reached. */
  readonly empty: readonly string[];
}

/** @throws LlqError `bad-input` when the file is damaged, no importance matrix, or has no entry that a token reached */
export function imatrixStatistics(path: string): ImatrixStatistics {
  const statistics = statisticsOf(openImatrixSums(path));
  if (statistics.matrices.length > 0) return statistics;
  throw badInput(t`${path}: no entry of the importance matrix has seen a token`);
}

export function statisticsOf({ entries }: ImatrixSums): ImatrixStatistics {
  const empty: string[] = [];
  const matrices: MatrixStatistics[] = [];
  for (const [tensor, entry] of entries) {
    const activations = activationsOf(entry);
    if (activations.length === 0) empty.push(tensor);
    else {
      const place = placeOf(tensor);
      const similarity = similarityOf(entry.sums, entries.get(place.before ?? "")?.sums);
      const { layer, name } = place;
      matrices.push({ tensor, layer, name, ...figuresOf(activations), similarity });
    }
  }
  matrices.sort((a, b) => (a.name === b.name ? b.sum - a.sum : a.name < b.name ? -1 : 1));
  return { matrices, layers: layersOf(matrices), empty };
}

const f32 = Math.fround;

function activationsOf({ sums, counts }: ImatrixEntry): Float32Array {
  const columns = sums.length / counts.length;
  const seen = (i: number) => counts[Math.floor(i / columns)]!;
  return Float32Array.from([...sums.keys()].filter((i) => seen(i) > 0).map((i) => sums[i]! / f32(seen(i))));
}

/** Names of llama.cpp's entries: `blk.<n>.<name>.weight`. */
function placeOf(tensor: string): Pick<MatrixStatistics, "layer" | "name"> & { before: string | undefined } {
  const parts = tensor.split(".");
  const block = parts.indexOf("blk");
  const index = block < 0 ? undefined : parts[block + 1];
  const layer = index !== undefined && /^\d+$/.test(index) ? Number(index) : undefined;
  const end = parts.indexOf("weight", 1);
  const name = end < 0 ? tensor : parts[end - 1]!;
  if (layer === undefined) return { layer, name, before: undefined };
  return { layer, name, before: parts.with(block + 1, String(layer - 1)).join(".") };
}

function figuresOf(
  activations: Float32Array,
): Omit<MatrixStatistics, "tensor" | "layer" | "name" | "similarity"> {
  const { length: columns } = activations;
  const sum = activations.reduce((total, each) => f32(total + each), 0);
  const mean = f32(sum / columns);
  const squares = f32(dot(activations, activations) / columns);
  const deviation = f32(Math.sqrt(Math.max(0, f32(squares - f32(mean * mean)))));
  const entropy = entropyOf(activations, sum);
  const isOutlier = (each: number) => f32(f32(each - mean) / deviation) > 1;
  return {
    sum,
    min: activations.reduce((least, each) => Math.min(least, each)),
    max: activations.reduce((most, each) => Math.max(most, each)),
    mean,
    deviation,
    active: f32(1 - f32(activations.filter((each) => each <= f32(1e-5)).length / columns)),
    columns,
    entropy,
    evenness: f32(columns > 1 ? entropy / Math.log2(columns) : 0),
    outliers: deviation > 0 ? f32(activations.filter(isOutlier).length / columns) : 0,
  };
}

function entropyOf(activations: Float32Array, sum: number): number {
  if (!(sum > 0)) return 0;
  return activations.reduce((entropy, each) => {
    const p = f32(each / sum);
    return p > 0 ? f32(entropy - f32(p * f32(Math.log2(p)))) : entropy;
  }, 0);
}

/** Of the sums as they are; those of another length have no angle to them. */
function similarityOf(sums: ArrayLike<number>, before: ArrayLike<number> | undefined): number {
  if (before === undefined || before.length !== sums.length) return 0;
  const lengths = f32(f32(Math.sqrt(dot(sums, sums))) * f32(Math.sqrt(dot(before, before))));
  return lengths > 0 ? f32(dot(sums, before) / lengths) : 0;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum = f32(sum + f32(f32(a[i]!) * f32(b[i]!)));
  return sum;
}

function layersOf(matrices: readonly MatrixStatistics[]): LayerStatistics[] {
  const byLayer = new Map<number, { columns: number; sum: number; outliers: number; similarity: number }>();
  for (const { layer, columns, sum, outliers, similarity } of matrices) {
    if (layer === undefined) continue;
    const total = byLayer.get(layer) ?? { columns: 0, sum: 0, outliers: 0, similarity: 0 };
    byLayer.set(layer, {
      columns: total.columns + columns,
      sum: f32(total.sum + f32(columns * sum)),
      outliers: f32(total.outliers + f32(columns * outliers)),
      similarity: f32(total.similarity + f32(columns * similarity)),
    });
  }
  return [...byLayer]
    .sort(([a], [b]) => a - b)
    .map(([layer, { columns, sum, outliers, similarity }]) => ({
      layer,
      sum: f32(sum / columns),
      outliers: f32(outliers / columns),
      similarity: f32(similarity / columns),
    }));
}
