import { type Frame, WIDTH } from "./chart.js";

/** A point that is to have a name beside it. */
export interface Dot {
  readonly x: number;
  readonly y: number;
  readonly label: string;
}

export interface PlacedLabel {
  readonly x: number;
  readonly y: number;
  readonly anchor: "start" | "middle" | "end";
  /** Too far from its dot to be understood without a line to it. */
  readonly isFar: boolean;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const LINE_HEIGHT = 13;
const DOT_SIZE = 10;
/** From the middle of a line of text to its baseline. */
const BASELINE = 4;

/** Width of a label in 12 px, about, and rather too much: fonts differ. */
export function labelWidth(text: string): number {
  let width = 0;
  for (const letter of text) {
    if (/[\u2e80-\uffef]/.test(letter)) width += 12.5;
    else if (/[A-Z_mwMW%]/.test(letter)) width += 9;
    else width += /[\s.,:;|/()'-]/.test(letter) ? 5.2 : 7.6;
  }
  return width;
}

/** What a text covers, of which the baseline is at `y`. */
export function textBox({ x, y, anchor }: Pick<PlacedLabel, "x" | "y" | "anchor">, text: string): Box {
  const width = labelWidth(text);
  const shift = { start: 0, middle: width / 2, end: width }[anchor];
  return { x: x - shift, y: y - LINE_HEIGHT + 3, width, height: LINE_HEIGHT };
}

/** How much of each other two boxes cover. */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(0, width) * Math.max(0, height);
}

interface Place extends PlacedLabel {
  readonly cost: number;
}

/** Where a label may be, seen from its dot: beside it, or around it at growing distances. */
const PLACES: readonly Place[] = [
  { x: 8, y: BASELINE, anchor: "start", isFar: false, cost: 0 },
  { x: -8, y: BASELINE, anchor: "end", isFar: false, cost: 1 },
  ...[11, 22, 34, 46, 60, 75, 90, 110, 130].flatMap((distance, i) =>
    [-1, 1].flatMap((side): Place[] => {
      const y = side * distance + BASELINE;
      const isFar = i > 0;
      const cost = 3 + 12 * i;
      return [
        { x: 5 + distance / 2, y, anchor: "start", isFar, cost },
        { x: -5 - distance / 2, y, anchor: "end", isFar, cost: cost + 1 },
        { x: 0, y, anchor: "middle", isFar, cost: cost + 2 },
      ];
    }),
  ),
];

/** Rounds of moving each label to where it is best beside the others. */
const ROUNDS = 8;

/**
 * Puts a label to each dot so that no two cover each other, none leaves the plot, and they cover the dots as little as can
 * be. Where there is no room for all, some have none: what those dots are the chart's table says.
 */
export function placeLabels(dots: readonly Dot[], frame: Frame): (PlacedLabel | undefined)[] {
  const chosen = bestPlaces(dots, frame);
  const boxes: Box[] = [];
  const isFree = (box: Box) => outside(box, frame) === 0 && boxes.every((other) => overlap(box, other) === 0);
  // Those that are well placed stay, the others take what room is left.
  const order = dots.map((_, i) => i).sort((a, b) => chosen[a]!.conflict - chosen[b]!.conflict);
  const placed: (PlacedLabel | undefined)[] = dots.map(() => undefined);
  for (const i of order) {
    const found = [chosen[i]!.place, ...freePlaces(dots[i]!, frame)].find((place) =>
      isFree(textBox(place, dots[i]!.label)),
    );
    if (found === undefined) continue;
    placed[i] = found;
    boxes.push(textBox(found, dots[i]!.label));
  }
  return placed;
}

interface Chosen {
  readonly place: PlacedLabel;
  /** How much of other labels it covers, or how far it sticks out. */
  readonly conflict: number;
}

function bestPlaces(dots: readonly Dot[], frame: Frame): Chosen[] {
  const half = DOT_SIZE / 2;
  const points = dots.map(({ x, y }) => ({ x: x - half, y: y - half, width: DOT_SIZE, height: DOT_SIZE }));
  const at = ({ x, y }: Dot, place: Place): PlacedLabel => ({ ...place, x: x + place.x, y: y + place.y });
  const chosen: (Place | undefined)[] = dots.map(() => undefined);
  const boxesBeside = (i: number) =>
    chosen.flatMap((place, j) => (place && i !== j ? [textBox(at(dots[j]!, place), dots[j]!.label)] : []));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, dot] of dots.entries()) {
      const others = [...points, ...boxesBeside(i)];
      const costs = PLACES.map((place) => {
        const own = textBox(at(dot, place), dot.label);
        const covered = others.reduce((sum, other) => sum + overlap(own, other), 0);
        return place.cost + 2 * covered + 20 * outside(own, frame);
      });
      chosen[i] = PLACES[costs.indexOf(Math.min(...costs))]!;
    }
  }
  return dots.map((dot, i) => {
    const place = at(dot, chosen[i]!);
    const own = textBox(place, dot.label);
    const covered = boxesBeside(i).reduce((sum, other) => sum + overlap(own, other), 0);
    return { place, conflict: covered + outside(own, frame) };
  });
}

/** Any place in the plot, the nearest to the dot first. */
function freePlaces({ x, y }: Dot, { left, top, bottom }: Frame): PlacedLabel[] {
  const places: PlacedLabel[] = [];
  for (let row = top + LINE_HEIGHT; row < bottom; row += LINE_HEIGHT) {
    for (let column = left + 2; column < WIDTH; column += 20) {
      places.push({ x: column, y: row - 3, anchor: "start", isFar: true });
    }
  }
  const distance = (place: PlacedLabel) => Math.hypot(place.x - x, 2 * (place.y - y));
  return places.sort((a, b) => distance(a) - distance(b));
}

/** How far a label sticks out; to the right there is some room beside the frame. */
function outside({ x, y, width, height }: Box, { left, top, bottom }: Frame): number {
  return (
    Math.max(0, left - x) +
    Math.max(0, x + width - WIDTH) +
    Math.max(0, top - y) +
    Math.max(0, y + height - bottom)
  );
}
