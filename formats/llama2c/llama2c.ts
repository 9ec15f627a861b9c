// llama2.c .bin, little endian. Version 0 has no magic:
//   dim hidden layers heads kv_heads ±vocab seq  i32 each | f32 tensors | cos and sin of RoPE | output if vocab < 0
// Version 1:
//   "ak42" u32 | version i32 | the same seven i32 | shared u8 | zeros to byte 256 | f32 tensors | output if not shared
// See llama2c.md for the tensors' order and for what is refused.
import { t } from "../../src/language/t.js";
import { ByteReader, type ByteSource } from "../bytes.js";
import type { Container, MetaField, TensorSource } from "../container.js";
import { byteLength } from "../dtype.js";
import { badInput, LlqError } from "../errors.js";
import { meta } from "../gguf/gguf-write.js";

const MAGIC = 0x616b3432;
const HEADER_V0 = 28;
const HEADER_V1 = 256;
/** More than any model has; each layer has nine tensors, which take memory. */
const MAX_LAYERS = 2 ** 12;

interface Header {
  readonly version: 0 | 1;
  readonly dim: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocab: number;
  readonly context: number;
  /** The output matrix is the embedding. */
  readonly shared: boolean;
}

/** A tensor by its GGUF name, or numbers to pass over. */
type Part = readonly [name: string | undefined, shape: readonly number[]];

/**
 * Whether this may be a llama2.c file. Version 0 begins with seven numbers and nothing else, so they are looked
 * at: whole, in range, and dividing each other as a model's do.
 */
export function isLlama2c(source: ByteSource): boolean {
  if (source.byteLength < HEADER_V0) return false;
  const r = new ByteReader(source);
  if (r.u32() === MAGIC) return true;
  const { layers, vocab, ...rest } = readNumbers(new ByteReader(source));
  return isPlausible({ ...rest, layers, vocab: Math.abs(vocab) });
}

function isPlausible({
  dim,
  hidden,
  layers,
  heads,
  kvHeads,
  vocab,
  context,
}: Omit<Header, "version" | "shared">) {
  const all = [dim, hidden, layers, heads, kvHeads, vocab, context];
  return (
    all.every((value) => value > 0 && value < 2 ** 24) &&
    layers <= MAX_LAYERS &&
    dim % heads === 0 &&
    (dim / heads) % 2 === 0 &&
    heads % kvHeads === 0
  );
}

/**
 * Everything in a llama2.c file but the tensor data. The file names nothing and says only numbers: the tensors
 * have their GGUF names and the numbers GGUF's keys, as if it were a GGUF of the same model without a tokenizer.
 * @throws LlqError `bad-input` when the numbers make no model or not one of the file's size, `unsupported` for
 * version 2 (int8) and later
 */
export function readLlama2c(source: ByteSource): Container {
  const header = readHeader(new ByteReader(source));
  const tensors = new Map<string, TensorSource>();
  let offset = header.version === 0 ? HEADER_V0 : HEADER_V1;
  for (const [name, shape] of header.version === 0 ? partsV0(header) : partsV1(header)) {
    const length = byteLength("F32", shape);
    if (name !== undefined) tensors.set(name, { file: 0, offset, byteLength: length, dtype: "F32", shape });
    offset += length;
  }
  if (offset !== source.byteLength) {
    throw badInput(
      t`${source.name}: a llama2.c file with these numbers has ${offset} bytes, this one has ${source.byteLength}`,
      offset > source.byteLength
        ? t`the file is truncated: fetch it again`
        : t`the file is damaged, or no llama2.c file`,
    );
  }
  return {
    format: "llama2.c",
    files: [source.name],
    tensors,
    opaque: new Map(),
    metadata: metadataOf(header),
  };
}

function readNumbers(r: ByteReader): Omit<Header, "version" | "shared"> {
  const [dim, hidden, layers, heads, kvHeads, vocab, context] = Array.from({ length: 7 }, () => r.i32());
  return {
    dim: dim!,
    hidden: hidden!,
    layers: layers!,
    heads: heads!,
    kvHeads: kvHeads!,
    vocab: vocab!,
    context: context!,
  };
}

function readHeader(r: ByteReader): Header {
  const hasMagic = r.u32() === MAGIC;
  if (hasMagic) checkVersion(r);
  else r.offset = 0;
  const at = r.offset;
  const numbers = readNumbers(r);
  const header: Header = hasMagic
    ? { version: 1, ...numbers, shared: readFlag(r) }
    : { version: 0, ...numbers, vocab: Math.abs(numbers.vocab), shared: numbers.vocab > 0 };
  if (!isPlausible(header)) {
    const { dim, hidden, layers, heads, kvHeads, vocab, context } = header;
    const numbersText = [dim, hidden, layers, heads, kvHeads, vocab, context].join(", ");
    r.fail(t`the numbers ${numbersText} make no model`, t`the file is damaged`, at);
  }
  return header;
}

function checkVersion(r: ByteReader): void {
  const version = r.i32();
  if (version === 1) return;
  const what = version === 2 ? t`version 2 (int8 in groups)` : t`version ${version}`;
  throw new LlqError(
    "unsupported",
    t`${r.source.name}: llama2.c ${what} is not supported, only 0 and 1 are`,
    {
      hint: t`export the model again with --version 1, or convert the checkpoint that it was made from`,
    },
  );
}

function readFlag(r: ByteReader): boolean {
  const at = r.offset;
  const flag = r.u8();
  if (flag > 1) r.fail(t`the flag for a shared output is ${flag}`, t`the file is damaged`, at);
  if (r.bytes(HEADER_V1 - r.offset).some((byte) => byte !== 0)) {
    r.fail(t`the header does not end in zeros`, t`the file is damaged`);
  }
  return flag === 1;
}

/** One tensor of every layer. */
function each({ layers }: Header, name: string, shape: readonly number[]): Part[] {
  return Array.from({ length: layers }, (_, i) => [`blk.${i}.${name}.weight`, shape]);
}

function attention(header: Header): Part[] {
  const { dim, heads, kvHeads } = header;
  const kv = (dim / heads) * kvHeads;
  return [
    ...each(header, "attn_q", [dim, dim]),
    ...each(header, "attn_k", [kv, dim]),
    ...each(header, "attn_v", [kv, dim]),
    ...each(header, "attn_output", [dim, dim]),
  ];
}

/** w1, w2 and w3. */
function feedForward(header: Header): Part[] {
  const { dim, hidden } = header;
  return [
    ...each(header, "ffn_gate", [hidden, dim]),
    ...each(header, "ffn_down", [dim, hidden]),
    ...each(header, "ffn_up", [hidden, dim]),
  ];
}

function output({ shared, vocab, dim }: Header): Part[] {
  return shared ? [] : [["output.weight", [vocab, dim]]];
}

function partsV0(header: Header): Part[] {
  const { dim, heads, vocab, context } = header;
  const angles = [context, dim / heads / 2];
  return [
    ["token_embd.weight", [vocab, dim]],
    ...each(header, "attn_norm", [dim]),
    ...attention(header),
    ...each(header, "ffn_norm", [dim]),
    ...feedForward(header),
    ["output_norm.weight", [dim]],
    [undefined, angles],
    [undefined, angles],
    ...output(header),
  ];
}

function partsV1(header: Header): Part[] {
  const { dim, vocab } = header;
  return [
    ...each(header, "attn_norm", [dim]),
    ...each(header, "ffn_norm", [dim]),
    ["output_norm.weight", [dim]],
    ["token_embd.weight", [vocab, dim]],
    ...attention(header),
    ...feedForward(header),
    ...output(header),
  ];
}

/** Epsilon and frequencies stand nowhere in the file: they are constants of its programs. */
function metadataOf({ dim, hidden, layers, heads, kvHeads, vocab, context }: Header): Map<string, MetaField> {
  return new Map([
    ["general.architecture", meta.string("llama")],
    ["general.type", meta.string("model")],
    ["llama.vocab_size", meta.u32(vocab)],
    ["llama.context_length", meta.u32(context)],
    ["llama.embedding_length", meta.u32(dim)],
    ["llama.block_count", meta.u32(layers)],
    ["llama.feed_forward_length", meta.u32(hidden)],
    ["llama.attention.head_count", meta.u32(heads)],
    ["llama.attention.head_count_kv", meta.u32(kvHeads)],
    ["llama.attention.layer_norm_rms_epsilon", meta.f32(1e-5)],
    ["llama.rope.dimension_count", meta.u32(dim / heads)],
    ["llama.rope.freq_base", meta.f32(10000)],
  ]);
}
