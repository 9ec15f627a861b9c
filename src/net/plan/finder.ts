import { t } from "../../language/t.js";
import type { BlockMatrix, Norm, Role } from "../../role.js";
import { asVector, rowLength, sliceRows, type Tensor } from "../../tensor.js";
import type { Linear, NormPlan } from "./types.js";

/** Finds the tensors of a layer by role, or those outside of layers. */
export class Finder {
  readonly #tensors: ReadonlyMap<string, Tensor>;
  readonly #norm: Pick<NormPlan, "kind" | "epsilon">;
  readonly #layer: number | undefined;

  constructor(
    tensors: ReadonlyMap<string, Tensor>,
    norm: Pick<NormPlan, "kind" | "epsilon">,
    layer?: number,
  ) {
    this.#tensors = tensors;
    this.#norm = norm;
    this.#layer = layer;
  }

  /** The same outside of layers. */
  get whole(): Finder {
    return new Finder(this.#tensors, this.#norm);
  }

  /** The same of a layer. */
  of(layer: number): Finder {
    return new Finder(this.#tensors, this.#norm, layer);
  }

  /** Of which layer, for messages. */
  get place(): string {
    return this.#layer === undefined ? t`outside of layers` : t`layer ${this.#layer}`;
  }

  tensor(role: Role): Tensor | undefined {
    return this.#tensors.get(key(role, this.#layer));
  }

  norm(role: Norm): NormPlan | undefined {
    const weight = this.tensor(role);
    if (weight === undefined) return undefined;
    const bias = this.tensor(`${role}_bias`);
    if (weight.shape.length === 1) return { ...this.#norm, weight, bias };
    const length = rowLength(weight);
    return { ...this.#norm, weight: asVector(weight), bias: bias && asVector(bias), length };
  }

  linear(role: BlockMatrix): Linear | undefined {
    const weight = this.tensor(role);
    return weight && { weight, bias: this.tensor(`${role}_bias`) };
  }

  router(role: "router" | "router_shexp"): Linear | undefined {
    const weight = this.tensor(role);
    return weight && { weight, bias: role === "router" ? this.tensor("router_bias") : undefined };
  }
}

/** A model's tensors, none of a layer. */
export function findIn(tensors: readonly Tensor[], norm: Pick<NormPlan, "kind" | "epsilon">): Finder {
  return new Finder(new Map(tensors.map((tensor) => [key(tensor.role, tensor.layer), tensor])), norm);
}

/** Some rows of a fused matrix. */
export function part({ weight, bias }: Linear, first: number, count: number): Linear {
  return { weight: sliceRows(weight, first, count), bias: bias && sliceRows(bias, first, count) };
}

/** A norm that multiplies by nothing. */
export function bareNorm(length: number, norm: Pick<NormPlan, "kind" | "epsilon">): NormPlan {
  const weight: Tensor = {
    ...{ name: t`${length} ones`, role: "attn_q_norm", layer: undefined, shape: [length], dtype: "F32" },
    ...{ sources: [], joined: "rows", ranges: undefined, transforms: [], steps: [] },
    values: new Array(length).fill(1),
  };
  return { ...norm, weight, bias: undefined };
}

function key(role: Role, layer: number | undefined): string {
  return `${layer ?? ""} ${role}`;
}
