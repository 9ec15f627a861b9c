import type { Coding, Container, RawSource, TensorSource } from "../../../formats/container.js";
import { LlqError } from "../../../formats/errors.js";
import type { Kernels } from "../../kernels/kernels.js";
import { t } from "../../language/t.js";
import type { Tensor } from "../../tensor.js";
import type { Descriptors } from "../stored.js";
import { autoRound } from "./auto-round.js";
import { awq } from "./awq.js";
import { awqGemv, awqGemvFast } from "./awq-gemv.js";
import { bitnet } from "./bitnet.js";
import { bitsandbytes4 } from "./bitsandbytes-4.js";
import { bitsandbytes8 } from "./bitsandbytes-8.js";
import { BLOCK_DECODERS, isOfBlocks } from "./blocks.js";
import { fp4 } from "./compressed-tensors/fp4.js";
import { packQuantized } from "./compressed-tensors/pack-quantized.js";
import { compressedScaled } from "./compressed-tensors/scaled.js";
import { readFields, readQuantization } from "./config.js";
import { fp8Experts } from "./fp8-experts.js";
import { gptq } from "./gptq.js";
import { hqq } from "./hqq.js";
import { mlx, mlxScales } from "./mlx.js";
import { mlxFp4, mlxFp8 } from "./mlx-floats.js";
import { modeloptFp4, modeloptScaled } from "./modelopt.js";
import { mxfp4Blocks } from "./mxfp4-blocks.js";
import type { Decoder, Packing } from "./packing.js";
import { Parts } from "./parts.js";
import { Reader } from "./reader.js";
import { blockOfRows, type RowBlocksCoding, rowBlocks } from "./row-blocks.js";
import { scaled } from "./scaled.js";
import { baseOf, sum } from "./sum.js";
import { swizzled } from "./swizzled.js";
import { times } from "./times.js";
import { torchao } from "./torchao.js";
import { torchaoFp4, torchaoInt4, torchaoMx } from "./torchao-4.js";

/** Every format of packed weights. A new one is a file beside this and an entry here; the first that knows a tensor has it. */
// biome-ignore lint/suspicious/noExplicitAny: each takes its own codings and settings
const PACKINGS: readonly Packing<any, any>[] = [
  gptq,
  awqGemv,
  awqGemvFast,
  awq,
  autoRound,
  packQuantized,
  fp4,
  compressedScaled,
  bitsandbytes4,
  bitsandbytes8,
  mlx,
  mlxFp4,
  mlxFp8,
  hqq,
  torchaoInt4,
  torchaoFp4,
  torchaoMx,
  torchao,
  mxfp4Blocks,
  bitnet,
  modeloptFp4,
  modeloptScaled,
  fp8Experts,
  scaled,
];

// biome-ignore lint/suspicious/noExplicitAny: likewise
const DECODERS: readonly Decoder<any>[] = [...PACKINGS, ...BLOCK_DECODERS, rowBlocks, sum, times, swizzled];

/** Beside each weight: scales of what runs through it, which a file of weights has no place for. */
const ACTIVATION_SCALES =
  /(\.(input_scale|input_global_scale|output_scale|[qkv]_scale)|[._]activation_scale)$/;

/** Names that only packed weights have. */
const PACKED_NAME = /^(.*)\.(qweight|weight_packed)$/;

/**
 * The checkpoint with weights in place of what they are packed in. Nothing is read but the tensors' places; a packed
 * weight says how its rows are decoded (TensorSource.coded).
 * @param json config.json, whose `quantization_config` describes the packing
 * @throws LlqError `unsupported` for packings of other kinds, `bad-input` when parts are missing or do not fit
 */
export function unpackWeights(container: Container, file: string, json: unknown): Container {
  const known = [...new Set(PACKINGS.flatMap(({ methods }) => methods))];
  const quantization = readQuantization(file, json, known);
  const expected = PACKINGS.flatMap((packing) => {
    if (quantization === undefined) return packing.untold ? [{ packing, settings: undefined }] : [];
    if (packing.methods.includes(quantization.method)) {
      return [{ packing, settings: readFields(packing.fields, quantization) }];
    }
    return packing.untold ? [{ packing, settings: {} }] : []; // what is said is of others
  });
  const parts = new Parts(container);
  for (const [name, raw] of container.raw ?? []) {
    if (unpack(parts, expected, name, raw)) continue;
    if (quantization === undefined) refuseUntoldMlx(parts, name, raw);
    const stem = PACKED_NAME.exec(name)?.[1];
    if (stem !== undefined) throw unknownPacking(parts, stem, quantization?.method);
  }
  if (quantization === undefined) return parts.container();
  const scales = parts.drop(ACTIVATION_SCALES);
  return { ...parts.container(), remarks: computedInFull(file, scales) };
}

/** That engines may compute less exactly than is done here. */
function computedInFull(file: string, scales: readonly string[]): string[] {
  if (scales.length === 0) return [];
  const kinds = [...new Set(scales.map((name) => name.replace(/^.*\./s, "")))].join(", ");
  return [
    t`${file}: ${scales.length} scales of activations, keys and values (${kinds}) are left out: weights alone are rounded here`,
  ];
}

interface Expected {
  readonly packing: Packing;
  readonly settings: unknown;
}

/** Puts the weight that a stored tensor holds in its place; false when it holds none. */
function unpack(parts: Parts, expected: readonly Expected[], name: string, raw: RawSource): boolean {
  for (const { packing, settings } of expected) {
    const weight = packing.weightOf(name, raw, parts);
    if (weight === undefined) continue;
    parts.add(weight, packing.locate(parts, name, raw, settings));
    return true;
  }
  return false;
}

/** @throws LlqError `unsupported` for weights of MLX's, whose words can be of any number of bits */
function refuseUntoldMlx(parts: Parts, name: string, raw: RawSource): void {
  if (mlxScales(name, raw, parts) === undefined || !parts.has(name.replace(/weight$/, "scales"))) return;
  throw new LlqError("unsupported", t`${parts.where}: ${name} is packed by MLX, in words of unknown bits`, {
    hint: t`MLX puts "quantization": {"group_size": ..., "bits": ...} into config.json: take that config.json, or write what the model was packed with`,
  });
}

function unknownPacking({ where }: Parts, stem: string, method: string | undefined): LlqError {
  const told = PACKINGS.filter(({ untold }) => !untold).map(({ title }) => title);
  return new LlqError(
    "unsupported",
    t`${where}: ${stem} is packed in integers by ${method ?? t`no known method`}`,
    {
      hint:
        method === undefined
          ? t`config.json has no quantization_config; older files have it in quantize_config.json: copy it there, with quant_method`
          : t`${[...new Set(told)].join(", ")} are supported; take the original checkpoint`,
    },
  );
}

/**
 * Rows `first` to `first + count` of a coded source at `dst`, in its `dtype`. Scratch memory above the current mark is used
 * and given back.
 * @param name the tensor's, for messages
 * @throws LlqError `bad-input` for numbers in the file that do not fit each other
 */
export function decodeRows(
  kernels: Kernels,
  files: Descriptors,
  name: string,
  source: TensorSource,
  first: number,
  count: number,
  dst: number,
): void {
  decode(new Reader(kernels, files, name, decode), source, first, count, dst);
}

function decode(reader: Reader, source: TensorSource, first: number, count: number, dst: number): void {
  const coding = source.coded!;
  const mark = reader.kernels.mark();
  of(coding, DECODERS).decode(reader, coding, { source, first, count, dst });
  reader.kernels.reset(mark);
}

/** Some rows of a packed weight, all of one matrix, as a matrix. */
export function rowsOf(base: TensorSource, first: number, rows: number): TensorSource {
  return of(base.coded!, DECODERS).rowsOf?.(base, first, rows) ?? blockOfRows(base, first, rows);
}

function of<D extends Decoder>({ kind }: Coding, table: readonly D[]): D {
  const found = table.find((each) => each.kind === kind);
  if (found === undefined) throw new Error(`no weights are packed as ${kind}`);
  return found;
}

/** What a tensor is stored as, in words: its type, or what it is packed in. */
export function storedType({ dtype, sources }: Pick<Tensor, "dtype" | "sources">): string {
  if (sources[0]?.coded === undefined) return dtype;
  const { coded, dtype: plain } = baseOf(sources[0]);
  return coded === undefined || isOfBlocks({ coded }) ? plain : of(coded, PACKINGS).typeOf(coded);
}

/** Whether rows of the source are columns in the file: then many rows are read as fast as one. */
export function isAcross(source: TensorSource): boolean {
  if (source.coded?.kind === rowBlocks.kind && (source.coded as RowBlocksCoding).turned) return true;
  const { coded, strides } = baseOf(source);
  return coded === undefined || isOfBlocks({ coded })
    ? strides !== undefined && strides.at(-1)! > 1
    : of(coded, PACKINGS).across;
}
