import { escapeXml } from "../../escape.js";
import type { ComparedModel } from "../../eval/compare/compare-models.js";
import type { Estimate } from "../../eval/perplexity/statistics.js";
import { t } from "../../language/t.js";
import { axes, type Frame, frameOf, line, linearScale, logScale, round, type Scale, svg } from "./chart.js";
import { type Dot, type PlacedLabel, placeLabels } from "./place-labels.js";

// What a file costs against what it loses: one chart by divergence, one by perplexity.

const HEIGHT = 300;

export function divergenceChart(models: readonly ComparedModel[], labels: readonly string[]): string {
  const values = models.map(({ divergence }) => divergence.kld);
  const lowest = Math.min(...values.map(({ value }) => value));
  const highest = Math.max(2 * lowest, ...values.map(({ value, error }) => value + error));
  const frame = frameOf(HEIGHT);
  const y = logScale(lowest / 1.5, highest * 1.4, frame.bottom, frame.top);
  const text = models.map((_, i) => t`${labels[i]}: ${values[i]!.value.toPrecision(3)} nats`).join("; ");
  return svg({
    id: "size-kld",
    title: t`Divergence from the base by size`,
    description: t`Mean Kullback-Leibler divergence of each file, on a logarithmic axis, over its size. ${text}.`,
    height: HEIGHT,
    body: scatter(models, labels, values, { frame, y, label: t`mean KLD, nats` }),
  });
}

export function perplexityChart(models: readonly ComparedModel[], labels: readonly string[]): string {
  const values = models.map(({ divergence: { pplRatio } }) => ({
    value: 100 * (pplRatio.value - 1),
    error: 100 * pplRatio.error,
  }));
  const lowest = Math.min(0, ...values.map(({ value, error }) => value - error));
  const highest = Math.max(0, ...values.map(({ value, error }) => value + error));
  const frame = frameOf(HEIGHT);
  const y = linearScale(lowest, highest, frame.bottom, frame.top);
  const zero = line(frame.left, y.at(0), frame.right, y.at(0), "axis");
  const text = models.map((_, i) => `${labels[i]}: ${percent(values[i]!.value)}`).join("; ");
  return svg({
    id: "size-ppl",
    title: t`Change of perplexity by size`,
    description: t`How much larger the perplexity of each file is than the base's, over its size. ${text}.`,
    height: HEIGHT,
    body: zero + scatter(models, labels, values, { frame, y, label: t`perplexity against the base, %` }),
  });
}

interface Vertical {
  readonly frame: Frame;
  readonly y: Scale;
  readonly label: string;
}

function scatter(
  models: readonly ComparedModel[],
  labels: readonly string[],
  values: readonly Estimate[],
  { frame, y, label }: Vertical,
): string {
  const sizes = models.map(({ fileBytes }) => fileBytes);
  const unit = binaryUnit(Math.max(...sizes));
  const x = linearScale(
    Math.min(...sizes) / unit.bytes,
    Math.max(...sizes) / unit.bytes,
    frame.left + 14,
    frame.right - 14,
  );
  const places = models.map((_, i) => ({
    x: x.at(sizes[i]! / unit.bytes),
    y: y.at(values[i]!.value),
    label: labels[i]!,
  }));
  const texts = placeLabels(places, frame);
  const best = smallestLosses(sizes, values).map((i) => `${round(places[i]!.x)},${round(places[i]!.y)}`);
  return [
    axes(frame, { scale: x, label: t`size, ${unit.name}` }, { scale: y, label }),
    `<polyline class="frontier" points="${best.join(" ")}"/>`,
    ...places.flatMap((at, i) => {
      const text = texts[i];
      return text === undefined ? [] : named(at, text);
    }),
    ...places.map((at, i) => {
      const { value, error } = values[i]!;
      const whisker = line(at.x, y.at(value - error), at.x, y.at(value + error), "error");
      return `${whisker}<circle class="dot" cx="${round(at.x)}" cy="${round(at.y)}" r="4"><title>${escapeXml(labels[i]!)}</title></circle>`;
    }),
  ].join("");
}

/** A label, with a line to its dot where that is far. */
function named(dot: Dot, { x, y, anchor, isFar }: PlacedLabel): string {
  const leader = isFar ? line(dot.x, dot.y, x, y > dot.y ? y - 9 : y + 2, "leader") : "";
  const place = `x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"`;
  return `${leader}<text class="name" ${place}>${escapeXml(dot.label)}</text>`;
}

/** The models that no smaller one equals, from the smallest on. */
function smallestLosses(sizes: readonly number[], values: readonly Estimate[]): number[] {
  const bySize = sizes
    .map((_, i) => i)
    .sort((a, b) => sizes[a]! - sizes[b]! || values[a]!.value - values[b]!.value);
  let least = Number.POSITIVE_INFINITY;
  return bySize.filter((i) => {
    if (values[i]!.value >= least) return false;
    least = values[i]!.value;
    return true;
  });
}

function binaryUnit(bytes: number): { readonly name: string; readonly bytes: number } {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(Math.floor(Math.log2(Math.max(1, bytes)) / 10), units.length - 1);
  return { name: units[power]!, bytes: 1024 ** power };
}

function percent(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)} %`;
}
