import type { ComparedModel, MeasuredModel } from "../../eval/compare/compare-models.js";
import { t } from "../../language/t.js";
import { formatBytes } from "../../ui.js";

// What numbers come to, in words that need no knowledge of them.

/** Nats; a mean divergence below this is what rounding leaves of none. */
export const MIN_KLD = 1e-6;
/** Mean divergences in nats that words stand for: a choice, of which the page says the middle one. */
const SAME = 0.005;
export const CLOSE = 0.05;
const FAR = 0.2;

interface Named {
  readonly model: ComparedModel;
  readonly name: string;
}

/** The smallest file that stays close to the base, or that there is none. */
export function verdict(base: MeasuredModel, files: readonly Named[]): string {
  if (files.every(({ model }) => model.divergence.kld.value < MIN_KLD)) {
    return t`No file differs measurably from the base.`;
  }
  const bySize = files.toSorted((a, b) => a.model.fileBytes - b.model.fileBytes);
  const smallest = bySize.find(({ model }) => model.divergence.kld.value < CLOSE);
  if (smallest !== undefined) {
    return t`The smallest file that stays close to the base is ${smallest.name}: ${facts(base, smallest.model)}`;
  }
  const closest = files.reduce((a, b) =>
    b.model.divergence.kld.value < a.model.divergence.kld.value ? b : a,
  );
  return t`No file stays close to the base. The closest is ${closest.name}: ${facts(base, closest.model)}`;
}

/** A file in a sentence or two. */
export function describeFile(base: MeasuredModel, model: ComparedModel): string {
  return `${levelOf(model.divergence.kld.value)} ${facts(base, model)}`;
}

function levelOf(kld: number): string {
  if (kld < MIN_KLD) return t`Not measurably different from the base.`;
  if (kld < SAME) return t`Practically the same as the base.`;
  if (kld < CLOSE) return t`Close to the base.`;
  return kld < FAR ? t`Noticeably different from the base.` : t`Far from the base.`;
}

function facts(base: MeasuredModel, { fileBytes, divergence }: ComparedModel): string {
  const size = formatBytes(fileBytes);
  const share = ((100 * fileBytes) / base.fileBytes).toFixed(0);
  const others = (100 * (1 - divergence.sameTop.value)).toFixed(1);
  const change = 100 * (divergence.pplRatio.value - 1);
  const signed = `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(2)} %`;
  return t`${size}, ${share} % of the base's size; another token comes first in ${others} of 100 places; perplexity ${signed}.`;
}
