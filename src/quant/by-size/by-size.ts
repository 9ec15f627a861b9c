import { alignUp } from "../../../formats/bytes.js";
import { byteLength, type DTypeName } from "../../../formats/dtype.js";
import { ALIGNMENT_KEY, DEFAULT_ALIGNMENT } from "../../../formats/gguf/gguf.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { rowLength, type Tensor } from "../../tensor.js";
import { type ChoicesOptions, type Plan, planChoices } from "../plan.js";
import { type Choice, fitRow } from "../recipes/choose.js";
import type { Recipe } from "../recipes/recipes.js";
import { allocate, type Option, type Quote } from "./allocate.js";
import type { Menu, Mix } from "./menu.js";
import { formatPrice, type PriceKind, type PriceList } from "./prices.js";

/** Files of llq.recipe "fit" are told by their size; general.file_type is that of the nearest mix below. */
const RECIPE = "fit";

/** Bytes that may be had. */
export interface Limit {
  readonly bytes: number;
  /** Of the whole file, or of its tensors' data. */
  readonly of: "file" | "tensors";
}

/** What the smallest possible choice would take, in the limit's terms. */
export interface TooSmall {
  readonly needed: number;
}

/**
 * The best file within the limit: types for all tensors by their prices. It is never dearer than the best
 * fixed mix that fits; and without a measurement no tensor gets less than that mix gives it, since priors are no
 * evidence. The output keeps Q6_K or more wherever that fits, unless a measurement says that the bytes do much more
 * for other tensors.
 * @throws LlqError as planQuantize
 */
export function planBySize(
  model: Model,
  limit: Limit,
  menu: Menu,
  list: PriceList,
  options: ChoicesOptions,
): Plan | TooSmall {
  const recipe: Recipe = { name: RECIPE, fileType: 0, base: "F32", rules: [] };
  const smallest = menu.mixes[0]!;
  const { header, metadata } = planChoices(model, recipe, smallest.choices, options);
  const alignment = Number(metadata.get(ALIGNMENT_KEY)?.value ?? DEFAULT_ALIGNMENT);
  const bytesOf = (tensor: Tensor, dtype: DTypeName) => alignUp(byteLength(dtype, tensor.shape), alignment);
  const open = menu.settled.flatMap(({ choice }, i) => (choice === undefined ? [i] : []));
  const fixed = menu.settled.reduce(
    (sum, { choice }, i) => sum + (choice === undefined ? 0 : bytesOf(model.tensors[i]!, choice.dtype)),
    limit.of === "file" ? header.length : 0,
  );
  const offers = open.map((i): Offer => {
    const tensor = model.tensors[i]!;
    const offered = menu.types[i]!.map((dtype) => {
      return { dtype, bytes: bytesOf(tensor, dtype), price: list.prices[i]!.get(dtype)! };
    });
    const isOutput = menu.settled[i]!.kind === "output";
    return { options: offered, least: isOutput ? bytesOf(tensor, leastOutput(tensor)) : 0 };
  });
  const capacity = limit.bytes - fixed;
  /** Of the limit's terms, what a whole file has beside. */
  const beside = limit.of === "file" ? 0 : header.length;
  const mix = bestMix(menu, open, offers, capacity);
  const { bought, remarks } = buy(offers, mix, capacity, list.kind);
  if (bought === undefined) {
    const least = offers.map(({ options }) => Math.min(...options.map(({ bytes }) => bytes)));
    return { needed: fixed + least.reduce((sum, bytes) => sum + bytes, 0) };
  }
  const choices = menu.settled.map(({ choice }) => choice);
  for (const [k, i] of open.entries()) choices[i] = explain(offers[k]!, bought[k]!, list.kind);
  const { fileType } = (mix?.mix ?? smallest).recipe;
  const plan = planChoices(model, { ...recipe, fileType }, choices as Choice[], options);
  const about = mix && {
    name: mix.mix.recipe.name,
    byteLength: beside + fixed + total(mix.options, "bytes"),
    price: total(mix.options, "price"),
  };
  return {
    ...plan,
    bySize: {
      limit: beside + limit.bytes,
      kind: list.kind,
      price: total(bought, "price"),
      mix: about,
      remarks,
    },
  };
}

/** What a tensor may get. */
interface Offer {
  readonly options: readonly Option[];
  /** Bytes that it should not fall below. */
  readonly least: number;
}

/** Errors in the output reach every logit: the fixed mixes give it this or more. */
function leastOutput(tensor: Tensor): DTypeName {
  return fitRow("Q6_K", rowLength(tensor), "").dtype;
}

function total(options: readonly Option[], of: "bytes" | "price"): number {
  return options.reduce((sum, option) => sum + option[of], 0);
}

interface PricedMix {
  readonly mix: Mix;
  /** Of the open tensors. */
  readonly options: readonly Option[];
}

/** The fixed mix that fits and costs least; of equals the smaller. */
function bestMix(
  { mixes }: Menu,
  open: readonly number[],
  offers: readonly Offer[],
  capacity: number,
): PricedMix | undefined {
  const priced = mixes.map((mix) => ({
    mix,
    options: open.map((i, k) => offers[k]!.options.find(({ dtype }) => dtype === mix.choices[i]!.dtype)!),
  }));
  const fitting = priced.filter(({ options }) => total(options, "bytes") <= capacity);
  fitting.sort(
    (a, b) =>
      total(a.options, "price") - total(b.options, "price") ||
      total(a.options, "bytes") - total(b.options, "bytes"),
  );
  return fitting[0];
}

/** How much cheaper a file must be that gives its output less than Q6_K. */
const WORTH_LESS_OUTPUT = 0.9;

/** An option for every offer. */
function buy(
  offers: readonly Offer[],
  mix: PricedMix | undefined,
  capacity: number,
  kind: PriceKind,
): { bought: readonly Option[] | undefined; remarks: readonly string[] } {
  const guarded =
    kind === "prior" && mix !== undefined
      ? offers.map((offer, k) => notBelow(offer, mix.options[k]!))
      : offers;
  const safe = allocate(
    guarded.map(({ options, least }) => options.filter(({ bytes }) => bytes >= least)),
    capacity,
  );
  const free = allocate(
    guarded.map(({ options }) => options),
    capacity,
  );
  const freeIsBetter =
    safe === undefined ||
    (kind === "measured" &&
      free !== undefined &&
      total(free, "price") < WORTH_LESS_OUTPUT * total(safe, "price"));
  const bought = freeIsBetter ? free : safe;
  if (mix !== undefined && (bought === undefined || total(bought, "price") > total(mix.options, "price"))) {
    return { bought: mix.options, remarks: [t`nothing cheaper than ${mix.mix.recipe.name} was found`] };
  }
  if (bought === undefined || !freeIsBetter || offers.every(({ least }, k) => bought[k]!.bytes >= least)) {
    return { bought, remarks: [] };
  }
  const why =
    safe === undefined
      ? t`Q6_K does not fit`
      : t`with Q6_K the file would cost ${formatPrice(total(safe, "price"))}`;
  return { bought, remarks: [t`the output has less than Q6_K: ${why}`] };
}

/** Only what is no smaller and no worse than what the mix has. */
function notBelow({ options, least }: Offer, mix: Option): Offer {
  return { least, options: options.filter(({ bytes, price }) => bytes >= mix.bytes && price <= mix.price) };
}

function explain({ options }: Offer, bought: Option, kind: PriceKind): Choice {
  const smaller = options.filter(({ bytes }) => bytes < bought.bytes);
  const larger = options.filter(({ bytes, price }) => bytes > bought.bytes && price < bought.price);
  const quote: Quote = {
    price: bought.price,
    smaller: smaller.reduce<Option | undefined>(
      (best, each) =>
        best === undefined ||
        each.bytes > best.bytes ||
        (each.bytes === best.bytes && each.price < best.price)
          ? each
          : best,
      undefined,
    ),
    larger: larger.reduce<Option | undefined>(
      (best, each) =>
        best === undefined ||
        each.bytes < best.bytes ||
        (each.bytes === best.bytes && each.price < best.price)
          ? each
          : best,
      undefined,
    ),
  };
  return { dtype: bought.dtype, reason: t`${kind} price`, fellBack: false, quote };
}
