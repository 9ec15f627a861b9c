import { badInput } from "../../../formats/errors.js";
import type { HParams } from "../../arch/hparams.js";
import type { Activation, FeedForwardTraits } from "../../arch/traits.js";
import { t } from "../../language/t.js";
import { rowCount, rowLength, sliceRows, takeRows } from "../../tensor.js";
import { bareNorm, type Finder, part } from "../plan/finder.js";
import type { ExpertsPlan, FeedForwardPlan, Linear, MlpPlan } from "../plan/types.js";

/** The tensors of a layer's feed-forward. @throws LlqError `bad-input` where there are none, or experts without a router */
export function planFeedForward(
  { activation, sparsity, router: routing = { gating: "softmax" } }: FeedForwardTraits,
  { find, hparams }: { readonly find: Finder; readonly hparams: HParams },
): FeedForwardPlan {
  const mlp = findMlp(find, "", activation);
  const stacked = findMlp(find, "_exps", activation) ?? findFused(find, hparams, activation);
  const scale = find.tensor("router_scale");
  const shared = findMlp(find, "_shexp", activation);
  if (mlp === undefined && stacked === undefined) throw badInput(t`${find.place} has no feed-forward`);
  const router = find.router("router");
  if (stacked !== undefined && router === undefined)
    throw badInput(t`${find.place} has experts, and no router`);
  return {
    mlp: mlp && { ...withGate(mlp), sparsity, subNorm: find.norm("ffn_sub_norm") },
    mlpNorm: find.norm("ffn_post_norm_1"),
    mixture: stacked && {
      norm: find.norm("ffn_pre_norm_2"),
      routerNorm: scale && {
        ...bareNorm(rowLength(scale), { kind: "rms", epsilon: hparams.normEpsilon }),
        weight: scale,
      },
      router: router!,
      selectionBias: find.tensor("selection_bias"),
      scales: find.tensor("expert_scales"),
      routing,
      experts: Array.from({ length: hparams.expertCount }, (_, expert) => expertOf(stacked, expert)),
      used: hparams.expertUsedCount,
      latent: findLatent(find),
      shared: shared && withGate(shared),
      sharedRouter: find.router("router_shexp"),
      postNorm: find.norm("ffn_post_norm_2"),
    },
  };
}

function findLatent(find: Finder): ExpertsPlan["latent"] {
  const [down, up] = [find.linear("ffn_latent_down"), find.linear("ffn_latent_up")];
  return down && up && { down, up };
}

function findMlp(find: Finder, form: "" | "_exps" | "_shexp", activation: Activation): MlpPlan | undefined {
  const up = find.linear(`ffn_up${form}`);
  const down = find.linear(`ffn_down${form}`);
  return up && down && { gate: find.linear(`ffn_gate${form}`), up, down, activation };
}

/** Of up matrices with twice the rows, the first half is the gate. */
function withGate(mlp: MlpPlan): MlpPlan {
  const width = rowLength(mlp.down.weight);
  if (rowCount(mlp.up.weight) !== 2 * width) return mlp;
  return { ...mlp, gate: part(mlp.up, 0, width), up: part(mlp.up, width, width) };
}

/** Experts whose gates and ups are below each other in one tensor. */
function findFused(find: Finder, { expertCount }: HParams, activation: Activation): MlpPlan | undefined {
  const both = find.linear("ffn_gate_up_exps");
  const down = find.linear("ffn_down_exps");
  if (both === undefined || down === undefined) return undefined;
  const [, rows, columns] = both.weight.shape as [number, number, number];
  const half = (index: number): Linear => ({
    weight: takeRows(
      both.weight,
      Array.from({ length: expertCount }, (_, e) => [e * rows + (index * rows) / 2, rows / 2] as const),
      [expertCount, rows / 2, columns],
    ),
    bias: undefined,
  });
  return { gate: half(0), up: half(1), down, activation };
}

function expertOf({ gate, up, down, activation }: MlpPlan, expert: number): MlpPlan {
  const one = ({ weight, bias }: Linear): Linear => {
    const [rows, columns] = weight.shape.slice(-2) as [number, number];
    return {
      weight: sliceRows(weight, expert * rows, rows, [rows, columns]),
      bias: bias && sliceRows(bias, expert, 1),
    };
  };
  return { gate: gate && one(gate), up: one(up), down: one(down), activation };
}
