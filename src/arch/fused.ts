import type { Role } from "../role.js";
import type { Architecture, Part, TensorRow } from "./architecture.js";
import { type Dimension, dimension } from "./dimensions.js";
import { type HParams, numbersOf } from "./hparams.js";

type Cut = (hparams: HParams, layer: number | undefined) => Part;

/** Part `index` of a source in which parts of these lengths stand below each other. */
export function partOf(lengths: readonly Dimension[], index: number): Cut {
  return (h, layer) => {
    const counts = lengths.map((name) => dimension(name, h, layer));
    const sum = (parts: readonly number[]) => parts.reduce((total, count) => total + count, 0);
    return { rows: sum(counts), ranges: [{ first: sum(counts.slice(0, index)), count: counts[index]! }] };
  };
}

/**
 * Queries, keys or values, or all of them in this order, of a source whose rows are grouped by key/value head: the
 * queries that share it, the key, the value.
 */
export function grouped(...parts: readonly ("q" | "k" | "v")[]): Cut {
  return (hparams, layer) => {
    const h = numbersOf(hparams, layer);
    const q = (h.headCount / h.headCountKv) * h.keyLength;
    const group = q + h.keyLength + h.valueLength;
    const place = { q: [0, q], k: [q, h.keyLength], v: [q + h.keyLength, h.valueLength] } as const;
    const ranges = parts.flatMap((part) => {
      const [first, count] = place[part];
      return Array.from({ length: h.headCountKv }, (_, i) => ({ first: i * group + first, count }));
    });
    return { rows: h.headCountKv * group, ranges };
  };
}

/** The architecture with the experts' gates and ups in tensors of their own; as it is, if they are already. */
export function withExpertsApart(architecture: Architecture): Architecture {
  const tensors = architecture.tensors.flatMap((row): TensorRow[] => {
    if (row.role !== "ffn_gate_up_exps") return [row];
    return (["ffn_gate_exps", "ffn_up_exps"] as const).map((role) => ({
      ...row,
      role,
      name: row.name.replace("ffn_gate_up_exps", role),
      shape: ["experts", "expertFfn", "embd"],
    }));
  });
  return { ...architecture, tensors };
}

/** The architecture with queries, keys and values below each other in one tensor; as it is, if they are already. */
export function withFusedQkv(architecture: Architecture): Architecture {
  const parts = ["attn_k", "attn_k_bias", "attn_v", "attn_v_bias"];
  const tensors = architecture.tensors.flatMap((row): TensorRow[] => {
    if (parts.includes(row.role)) return [];
    const [, ...columns] = row.shape;
    const fused = { name: row.name.replace("attn_q.", "attn_qkv."), shape: ["qkv", ...columns] } as const;
    if (row.role === "attn_q") return [{ ...row, ...fused, role: "attn_qkv" }];
    if (row.role === "attn_q_bias") return [{ ...row, ...fused, role: "attn_qkv_bias" }];
    return [row];
  });
  return { ...architecture, tensors };
}

/** Queries, keys and values, and their biases, which GGUF may have below each other. */
export const APART_QKV: ReadonlySet<Role> = new Set(
  (["attn_q", "attn_k", "attn_v"] as const).flatMap((role) => [role, `${role}_bias`] as const),
);

/** The architecture with a tensor each for queries, keys and values of attention; as it is, if it has them already. */
export function withApartQkv(architecture: Architecture): Architecture {
  const tensors = architecture.tensors.flatMap((row): TensorRow[] => {
    const [rows, ...columns] = row.shape;
    if (rows !== "qkv") return [row];
    const suffix = row.role === "attn_qkv_bias" ? "_bias" : "";
    return (["q", "kv", "v"] as const).map((length, i) => {
      const part = (["attn_q", "attn_k", "attn_v"] as const)[i]!;
      const name = row.name.replace("attn_qkv.", `${part}.`);
      return { ...row, name, role: `${part}${suffix}`, shape: [length, ...columns] };
    });
  });
  return { ...architecture, tensors };
}

/** The architecture with each expert's gate and up below each other, as a checkpoint has them that stacks experts. */
export function withFusedExperts(architecture: Architecture): Architecture {
  const tensors = architecture.tensors.flatMap((row): TensorRow[] => {
    if (row.role === "ffn_up_exps") return [];
    if (row.role !== "ffn_gate_exps") return [row];
    const stacks = [row.source ?? []].flat().map((each) => each.replace(/\{e\}.*$/, "gate_up_proj"));
    return [
      {
        ...row,
        name: row.name.replace("ffn_gate_exps.", "ffn_gate_up_exps."),
        role: "ffn_gate_up_exps",
        shape: ["experts", "expertFfn*2", "embd"],
        source: stacks.flatMap((each) => [each, `${each}.weight`]),
      },
    ];
  });
  return { ...architecture, tensors };
}
