import { t } from "../../../language/t.js";
import type { Option, Quote } from "../../../quant/by-size/allocate.js";
import { formatPrice } from "../../../quant/by-size/prices.js";
import type { BySize, Plan, TensorPlan } from "../../../quant/plan.js";
import { formatBytes, printLine } from "../../../ui.js";

/** Why a tensor has its type; where it was chosen by price, the price and those of its neighbours. */
export function whyOf({ reason, quote, byteLength }: TensorPlan): string {
  if (quote === undefined) return reason;
  return [`${reason} ${formatPrice(quote.price)}`, ...alternatives(quote, byteLength)].join("; ");
}

function alternatives({ smaller, larger }: Quote, byteLength: number): string[] {
  const describe = ({ dtype, price, bytes }: Option) => {
    const difference = bytes - byteLength;
    const amount = formatBytes(Math.abs(difference));
    const size = difference < 0 ? t`${amount} less` : t`${amount} more`;
    return t`${dtype} ${formatPrice(price)} for ${size}`;
  };
  return [smaller, larger].flatMap((option) => (option === undefined ? [] : [describe(option)]));
}

/** How a file of a size was chosen. */
export function printBySize({ byteLength }: Plan, { limit, kind, price, mix, remarks }: BySize): void {
  printLine(t`${formatBytes(byteLength)} of at most ${formatBytes(limit)}`);
  const cost = `${formatPrice(price)} ${kind === "measured" ? "nats" : t`by the mixes' priorities`}`;
  if (mix === undefined) printLine(t`price ${cost}; no fixed mix fits`);
  else {
    const other = t`${formatPrice(mix.price)} of ${mix.name} (${formatBytes(mix.byteLength)})`;
    printLine(t`price ${cost}, against ${other}, the best fixed mix that fits`);
  }
  for (const remark of remarks) printLine(remark);
}
