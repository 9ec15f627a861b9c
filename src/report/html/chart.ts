import { escapeXml } from "../../escape.js";

// Charts as SVG text. All have one width, which suits a phone and half of a screen; coordinates are rounded, so that
// the same numbers give the same bytes.

export const WIDTH = 380;

/** Where the data are drawn. */
export interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export function frameOf(height: number): Frame {
  return { left: 48, right: WIDTH - 14, top: 30, bottom: height - 40 };
}

/** From values to coordinates. */
export interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

/** Straight, from `min` to `max` rounded outwards to whole steps. */
export function linearScale(min: number, max: number, from: number, to: number, steps = 5): Scale {
  const span = max > min ? max - min : Math.abs(max) || 1;
  const step = niceStep(span / steps);
  const low = Math.floor(min / step + 1e-9);
  const high = Math.max(low + 1, Math.ceil(max / step - 1e-9));
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => Number(((low + i) * step).toPrecision(12)));
  return { ticks, at: (value) => from + ((value / step - low) / (high - low)) * (to - from) };
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough * (1 - 1e-9)) ?? 10);
}

/** Logarithmic, from `min` to `max`, both above 0, with ticks at 1, 2 and 5 where decades are few. */
export function logScale(min: number, max: number, from: number, to: number): Scale {
  const [low, high] = [Math.log10(min), Math.log10(max)];
  const factors = high - low > 2.5 ? [1] : [1, 2, 5];
  const decades = Array.from(
    { length: Math.ceil(high) - Math.floor(low) + 1 },
    (_, i) => Math.floor(low) + i,
  );
  const ticks = decades
    .flatMap((decade) => factors.map((factor) => Number(`${factor}e${decade}`)))
    .filter((tick) => tick >= min && tick <= max);
  const at = (value: number) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
  return { ticks, at: (value) => at(Math.min(Math.max(value, min), max)) };
}

/** A number as short as it can be said. */
export function formatTick(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) {
    const [digits, exponent] = value.toExponential(0).split("e") as [string, string];
    return digits === "1"
      ? `10${superscript(Number(exponent))}`
      : `${digits}·10${superscript(Number(exponent))}`;
  }
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

function superscript(value: number): string {
  return [...String(value)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)] ?? "⁻").join("");
}

export interface Axis {
  readonly scale: Scale;
  readonly label: string;
  readonly format?: ((value: number) => string) | undefined;
  /** Whether lines cross the frame at the ticks. */
  readonly grid?: boolean;
}

/** Both axes, their labels level so that they are easy to read: that of y stands above. */
export function axes(frame: Frame, x: Axis, y: Axis): string {
  const { left, right, bottom } = frame;
  const rows = y.scale.ticks.map((tick) => {
    const at = round(y.scale.at(tick));
    const text = `<text x="${left - 6}" y="${round(at + 4)}" text-anchor="end">${(y.format ?? formatTick)(tick)}</text>`;
    return y.grid === false ? text : `${line(left, at, right, at, "grid")}${text}`;
  });
  const columns = x.scale.ticks.map((tick) => {
    const at = round(x.scale.at(tick));
    const text = `<text x="${at}" y="${bottom + 18}" text-anchor="middle">${(x.format ?? formatTick)(tick)}</text>`;
    return `${line(at, bottom, at, bottom + 4, "axis")}${text}`;
  });
  return [
    `<text class="label" x="${left - 40}" y="14">${escapeXml(y.label)}</text>`,
    ...rows,
    ...columns,
    line(left, bottom, right, bottom, "axis"),
    `<text class="label" x="${right}" y="${bottom + 36}" text-anchor="end">${escapeXml(x.label)}</text>`,
  ].join("");
}

export function line(x1: number, y1: number, x2: number, y2: number, className: string): string {
  return `<line class="${className}" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`;
}

/** A rectangle that says what it is when it is pointed at. */
export function bar(x: number, y: number, width: number, height: number, title: string): string {
  const place = `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`;
  return `<rect class="bar" ${place}><title>${escapeXml(title)}</title></rect>`;
}

export interface Chart {
  /** Unique in the page. */
  readonly id: string;
  readonly title: string;
  /** What it shows, for those who do not see it. */
  readonly description: string;
  readonly height: number;
  readonly body: string;
}

export function svg({ id, title, description, height, body }: Chart): string {
  return [
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${id}-title ${id}-desc">`,
    `<title id="${id}-title">${escapeXml(title)}</title>`,
    `<desc id="${id}-desc">${escapeXml(description)}</desc>`,
    body,
    "</svg>",
  ].join("");
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}
