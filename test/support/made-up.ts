import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { meta } from "../../formats/gguf/gguf-write.js";
import { openContainer } from "../../formats/open.js";
import { describedTensors, type Model } from "../../src/model.js";
import { Random } from "./random.js";

// A tiny model of random weights whose even layers have attention without positions, and whose odd ones mix each token with
// the one before it.

export const [VOCAB, WIDTH] = [40, 32];
const [HEADS, HEADS_KV, LENGTH, FFN, LAYERS] = [4, 2, 8, 48, 4];
const EPSILON = 2 ** -10;
export const TOKENS = Int32Array.from({ length: 21 }, (_, i) => (i * 7 + 3) % VOCAB);

const random = new Random(12);
export const weights = new Map<string, { shape: number[]; values: Float32Array }>();

function weight(name: string, shape: number[], change = (value: number) => value / Math.sqrt(shape.at(-1)!)) {
  const values = random.floats(shape.reduce((a, b) => a * b)).map(change);
  weights.set(name, { shape, values });
}

weight("token_embd.weight", [VOCAB, WIDTH], (value) => value);
for (let i = 0; i < LAYERS; i++) {
  const add = (name: string, ...shape: number[]) => weight(`blk.${i}.${name}`, shape);
  for (const name of ["attn_norm", "ffn_norm"])
    weight(`blk.${i}.${name}.weight`, [WIDTH], (value) => 1 + value / 2);
  if (i % 2 === 0) {
    add("attn_q.weight", HEADS * LENGTH, WIDTH);
    add("attn_k.weight", HEADS_KV * LENGTH, WIDTH);
    add("attn_v.weight", HEADS_KV * LENGTH, WIDTH);
    add("attn_output.weight", WIDTH, HEADS * LENGTH);
  } else {
    weight(`blk.${i}.ssm_d.weight`, [WIDTH], Math.abs);
    add("ssm_out.weight", WIDTH, WIDTH);
  }
  add("ffn_gate.weight", FFN, WIDTH);
  add("ffn_up.weight", FFN, WIDTH);
  add("ffn_down.weight", WIDTH, FFN);
}
weight("output_norm.weight", [WIDTH], (value) => 1 + value / 2);

/** Writes the weights into a folder and opens them as a model of the architecture "made-up". */
export function openMadeUp(folder: string): Model {
  const path = join(folder, "model.safetensors");
  let at = 0;
  const header = [...weights].map(([name, { shape, values }]) => {
    at += values.byteLength;
    return [name, { dtype: "F32", shape, data_offsets: [at - values.byteLength, at] }];
  });
  const text = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const data = [...weights.values()].map(({ values }) => Buffer.from(values.buffer));
  writeFileSync(path, Buffer.concat([length, text, ...data]));
  const container = openContainer(path);
  const metadata = new Map([
    ["general.architecture", meta.string("made-up")],
    ["made-up.context_length", meta.u32(64)],
    ["made-up.vocab_size", meta.u32(VOCAB)],
    ["made-up.embedding_length", meta.u32(WIDTH)],
    ["made-up.block_count", meta.u32(LAYERS)],
    ["made-up.feed_forward_length", meta.u32(FFN)],
    ["made-up.attention.head_count", meta.u32(HEADS)],
    ["made-up.attention.head_count_kv", meta.u32(HEADS_KV)],
    ["made-up.attention.layer_norm_rms_epsilon", meta.f32(EPSILON)],
  ]);
  const described = describedTensors(path, container, metadata);
  const vocab = {} as Model["vocab"]; // no text goes in
  return { path, folder: undefined, container, metadata, vocab, remarks: [], ...described };
}

export type Vector = readonly number[];

/** What they compute, written out in f64, from the tokens to the logits; `shifted` sees each shift's m. */
export function reference(tokens: Int32Array, shifted?: (layer: number, m: Vector) => void): Vector[] {
  const values = (name: string) => weights.get(`${name}.weight`)!.values;
  const product = (name: string, x: Vector): number[] => {
    const w = values(name);
    const rows = w.length / x.length;
    return Array.from({ length: rows }, (_, r) =>
      x.reduce((sum, value, c) => sum + value * w[r * x.length + c]!, 0),
    );
  };
  const normed = (name: string, x: Vector): number[] => {
    const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / WIDTH + EPSILON);
    return x.map((value, i) => value * scale * values(name)[i]!);
  };
  const plus = (a: Vector, b: Vector) => a.map((value, i) => value + b[i]!);
  let x: Vector[] = [...tokens].map((token) => [
    ...values("token_embd").subarray(token * WIDTH, (token + 1) * WIDTH),
  ]);
  for (let i = 0; i < LAYERS; i++) {
    const of = (name: string) => `blk.${i}.${name}`;
    const n = x.map((each) => normed(of("attn_norm"), each));
    let mixed: Vector[];
    if (i % 2 === 0) {
      const [q, k, v] = ["q", "k", "v"].map((part) => n.map((each) => product(of(`attn_${part}`), each)));
      mixed = q!.map((queries, t) => {
        const heads = Array.from({ length: HEADS }, (_, head) => {
          const kv = Math.floor(head / (HEADS / HEADS_KV)) * LENGTH;
          const scores = k!.slice(0, t + 1).map((keys) => {
            const dot = keys
              .slice(kv, kv + LENGTH)
              .reduce((sum, key, d) => sum + key * queries[head * LENGTH + d]!, 0);
            return Math.exp(dot / Math.sqrt(LENGTH));
          });
          const all = scores.reduce((sum, score) => sum + score);
          return Array.from({ length: LENGTH }, (_, d) =>
            scores.reduce((sum, score, s) => sum + (score / all) * v![s]![kv + d]!, 0),
          );
        });
        return product(of("attn_output"), heads.flat());
      });
    } else {
      const share = values(of("ssm_d"));
      mixed = n.map((own, t) => {
        const m = own.map((value, c) => share[c]! * value + (1 - share[c]!) * (t === 0 ? 0 : n[t - 1]![c]!));
        shifted?.(i, m);
        return product(of("ssm_out"), m);
      });
    }
    x = x.map((each, t) => plus(each, mixed[t]!));
    x = x.map((each) => {
      const inner = normed(of("ffn_norm"), each);
      const up = product(of("ffn_up"), inner);
      const gated = product(of("ffn_gate"), inner).map((gate, c) => (gate / (1 + Math.exp(-gate))) * up[c]!);
      return plus(each, product(of("ffn_down"), gated));
    });
  }
  return x.map((each) => product("token_embd", normed("output_norm", each)));
}
