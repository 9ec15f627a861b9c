import { type DTypeName, elementCount } from "../../../formats/dtype.js";
import { badInput } from "../../../formats/errors.js";
import type { Sensitivity, TensorSensitivity } from "../../../formats/sensitivity.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import type { Tensor } from "../../tensor.js";
import { candidatesFor, rounds } from "../recipes/candidates.js";
import type { Settled } from "../recipes/choose.js";
import { priorOf } from "./priors.js";

/** What each type would cost a tensor. */
export type Prices = ReadonlyMap<DTypeName, number>;

/** `measured`: nats of divergence; `prior`: the fixed mixes' own preferences, in no unit. */
export type PriceKind = "measured" | "prior";

/** What each type on the menu costs each tensor. */
export interface PriceList {
  readonly kind: PriceKind;
  /** Of each tensor; empty where the type is settled. */
  readonly prices: readonly Prices[];
}

/** Errors of a tensor's rows, relative and weighted (tryTypes), by type. */
export interface Errors {
  readonly byType: ReadonlyMap<DTypeName, number>;
  /** The same of types that a sensitivity was measured with, rounded as they were then. */
  readonly measured: ReadonlyMap<DTypeName, number>;
}

/**
 * What a tensor costs in each type by a measurement: the divergence of a type that was measured, in proportion to
 * the errors. A tensor's divergence is a quadratic form of its error, so that one factor serves all types; measured
 * on samples/tiny-llama it varies by a tenth between Q2_K and Q8_0, where divergences vary by 5000.
 */
export function measuredPrices(
  { kld }: Pick<TensorSensitivity, "kld">,
  { byType, measured }: Errors,
): Prices {
  const references = [...kld].map(([type, value]) => ({ value, error: measured.get(type) ?? 0 }));
  const usable = references.filter(({ error }) => error > 0);
  return new Map(
    [...byType].map(([type, error]): [DTypeName, number] => {
      if (error === 0 || usable.length === 0) return [type, 0];
      const distance = (reference: { error: number }) => Math.abs(Math.log(reference.error / error));
      const nearest = usable.reduce((best, each) => (distance(each) < distance(best) ? each : best));
      return [type, (nearest.value * error) / nearest.error];
    }),
  );
}

/**
 * What a tensor costs in each type as the fixed mixes see it: its part of the model's mean relative error, times the
 * prior.
 */
export function priorPrices(
  { hparams, tensors }: Model,
  tensor: Tensor,
  { kind }: Settled,
  { byType }: Errors,
): Prices {
  const elements = tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const weight = (priorOf(kind, tensor, hparams.blockCount) * elementCount(tensor.shape)) / elements;
  return new Map([...byType].map(([type, error]) => [type, weight * error]));
}

/**
 * Refuses a sensitivity file that is not of this model.
 * @param open the tensors whose types are to be chosen by it
 * @throws LlqError `bad-input`
 */
export function checkSensitivity(
  { architecture, tensors }: Model,
  open: readonly Tensor[],
  sensitivity: Sensitivity,
): void {
  const { file } = sensitivity;
  const hint = t`sensitivities belong to the model they were measured on: llq sensitivity`;
  if (sensitivity.architecture !== architecture.name) {
    throw badInput(t`${file}: is of a ${sensitivity.architecture} model, not of ${architecture.name}`, hint);
  }
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  for (const [name, { shape }] of sensitivity.tensors) {
    const own = byName.get(name);
    if (own === undefined) throw badInput(t`${file}: tensor ${name} is none of this model's`, hint);
    if (own.shape.join() !== shape.join()) {
      const message = t`${file}: tensor ${name} is ${shape.join(" x ")}, in this model ${own.shape.join(" x ")}`;
      throw badInput(message, hint);
    }
  }
  const missing = open.find(
    (tensor) => !sensitivity.tensors.has(tensor.name) && candidatesFor(tensor).some(rounds),
  );
  if (missing !== undefined) throw badInput(t`${file}: has nothing of tensor ${missing.name}`, hint);
}

/** A price in a few digits. */
export function formatPrice(price: number): string {
  return price.toExponential(2);
}
