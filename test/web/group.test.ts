import { expect, it } from "vitest";
import { openModel } from "../../src/model.js";
import { groupOf } from "../../web/src/engine/group.js";

it.each([
  ["token_embd", "embedding"],
  ["output", "output"],
  ["output_norm", "norms"],
  ["attn_q", "attention"],
  ["attn_kv_a", "attention"],
  ["attn_q_bias", "norms"],
  ["attn_q_norm", "norms"],
  ["ffn_post_norm_1", "norms"],
  ["ffn_down", "feedForward"],
  ["ffn_down_exps", "experts"],
  ["ffn_gate_shexp", "experts"],
  ["router", "experts"],
  ["ssm_in", "mixer"],
  ["shortconv_out", "mixer"],
  ["rope_freqs", "other"],
])("puts %s under %s", (role, group) => {
  expect(groupOf(role)).toBe(group);
});

it("knows every tensor of the sample", () => {
  const groups = openModel("samples/tiny-llama").tensors.map(({ role }) => groupOf(role));
  expect(groups).not.toContain("other");
});
