import { elementCount } from "../../../formats/dtype.js";
import { halvesOf } from "../../net/halves.js";
import { inputsOf } from "../../net/inputs.js";
import { mixerOf } from "../../net/mixers/index.js";
import type { DecoderPlan, LayerPlan } from "../../net/plan/types.js";
import type { Plan, TensorPlan } from "../../quant/plan.js";
import { rowLength } from "../../tensor.js";
import { gridOf } from "./codes/grids.js";

/** What goes into some matrices, and the tensors that are rounded for it. */
export interface Stage {
  readonly input: string;
  readonly columns: number;
  /** Matrices with an input each (experts); 0 when all have the same. */
  readonly experts: number;
  /** Rows of all experts that a token makes; 1 without. */
  readonly rowsOfToken: number;
  /** What experts take is of one kind: the tokens of one say something of what another will get. */
  readonly alike: boolean;
  readonly tensors: readonly TensorPlan[];
  /** What the matrix makes is added to the hidden states as it is. */
  readonly adds: boolean;
  /** Multiply-adds a token takes up to here, from the start of the step. */
  readonly workBefore: number;
}

/** A part of the model that is run for all tokens before the next: half a layer, or the output. */
export interface Step {
  /**
   * Undefined for the output. An embedding that is the output too has to be rounded before anything is looked up in it, so
   * for that the model is run through once more, as it is, and that is the first step.
   */
  readonly layer: number | undefined;
  readonly isTied: boolean;
  readonly half: number;
  readonly stages: readonly Stage[];
  /** Multiply-adds of a token. */
  readonly work: number;
}

/** Name of the input of the output matrix. */
export const HEAD_INPUT = "output";

/** The steps of a model, in order, with the tensors of the planned file that are rounded by the text. */
export function stepsOf(decoder: DecoderPlan, plan: Plan): Step[] {
  const planned = new Map(plan.tensors.map((tensor) => [tensor.tensor.name, tensor]));
  const taken = new Set<string>();
  const take = (names: readonly string[]): TensorPlan[] =>
    [...new Set(names)].flatMap((name) => {
      const tensor = planned.get(name);
      if (tensor === undefined || taken.has(name) || !isRounded(tensor)) return [];
      taken.add(name);
      return [tensor];
    });
  const layers = decoder.layers.flatMap((layer, i) =>
    halvesOf(layer).map((half, h) => ({ layer: i, half: h, isTied: false, ...stagesOf(half, take) })),
  );
  const { output } = decoder.head;
  const tensors = take([output.name]);
  if (tensors.length === 0) return layers;
  const isTied = output === decoder.token_embd;
  const kind = { experts: 0, rowsOfToken: 1, alike: false, adds: false };
  const work = isTied ? layers.reduce((sum, step) => sum + step.work, 0) : 0;
  const stage = { input: HEAD_INPUT, columns: rowLength(output), tensors, workBefore: 0, ...kind };
  const head = { layer: undefined, half: 0, isTied, stages: [stage], work };
  return isTied ? [head, ...layers] : [...layers, head];
}

/** Whether a tensor gets a type that it does not have already, with a grid or scales that the text's importances choose. */
function isRounded({ tensor, dtype, weights }: TensorPlan): boolean {
  return dtype !== tensor.dtype && (gridOf(dtype) !== undefined || weights !== undefined);
}

function stagesOf(
  half: LayerPlan,
  take: (names: readonly string[]) => TensorPlan[],
): Pick<Step, "stages" | "work"> {
  const { mixer, feedForward } = half;
  const ofMixer = mixerOf(mixer.plan).inputs(mixer.plan);
  const adding = new Set<string>();
  const last = ofMixer.at(-1)?.[0];
  if (last !== undefined && mixer.postNorm === undefined) adding.add(last);
  const alone = feedForward?.plan.mixture === undefined;
  if (alone && feedForward?.postNorm === undefined) adding.add("ffn_down");
  let work = 0;
  const ofFeedForward = new Set(["experts", "experts_down"]);
  const used = feedForward?.plan.mixture?.used ?? 0;
  const stages: Stage[] = [];
  for (const [input, { matrices, columns, experts }] of inputsOf(half)) {
    const tensors = take(matrices.map(({ weight }) => weight.name));
    const rowsOfToken = experts === 0 ? 1 : ofFeedForward.has(input) ? used : experts;
    if (tensors.length > 0) {
      const alike = input === "experts";
      stages.push({
        input,
        columns,
        experts,
        rowsOfToken,
        alike,
        tensors,
        adds: adding.has(input),
        workBefore: work,
      });
    }
    work += matrices.reduce((sum, { weight }) => sum + elementCount(weight.shape) * rowsOfToken, 0);
  }
  return { stages, work };
}
