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

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Of a letter, about: half an em. */
const LETTER_WIDTH = 6.6;
const LINE_HEIGHT = 13;
const DOT_SIZE = 10;
/** From the middle of a line of text to its baseline. */
const BASELINE = 4;

interface Place extends PlacedLabel {
  readonly cost: number;
}

/** Where a label may be, seen from its dot: beside it, or around it at growing distances. */
const PLACES: readonly Place[] = [
  { x: 8, y: BASELINE, anchor: "start", isFar: false, cost: 0 },
  { x: -8, y: BASELINE, anchor: "end", isFar: false, cost: 1 },
  ...[11, 22, 34, 46, 60].flatMap((distance, i) =>
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
const ROUNDS = 4;

/** Puts a label to each dot so that they cover each other and the dots as little as can be. */
export function placeLabels(dots: readonly Dot[], frame: Frame): PlacedLabel[] {
  const points = dots.map(({ x, y }) => ({
    x: x - DOT_SIZE / 2,
    y: y - DOT_SIZE / 2,
    width: DOT_SIZE,
    height: DOT_SIZE,
  }));
  const chosen: (Place | undefined)[] = dots.map(() => undefined);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, dot] of dots.entries()) {
      const others = chosen.flatMap((place, j) => (place && i !== j ? [labelBox(dots[j]!, place)] : []));
      const costOf = (place: Place) => {
        const own = labelBox(dot, place);
        const covered = [...points, ...others].reduce((sum, other) => sum + overlap(own, other), 0);
        return place.cost + 2 * covered + 20 * outside(own, frame);
      };
      const costs = PLACES.map(costOf);
      chosen[i] = PLACES[costs.indexOf(Math.min(...costs))]!;
    }
  }
  return dots.map(({ x, y }, i) => ({ ...chosen[i]!, x: x + chosen[i]!.x, y: y + chosen[i]!.y }));
}

function labelBox({ x, y, label }: Dot, place: Place): Box {
  const width = [...label].length * LETTER_WIDTH;
  const shift = { start: 0, middle: width / 2, end: width }[place.anchor];
  return { x: x + place.x - shift, y: y + place.y - LINE_HEIGHT + 3, width, height: LINE_HEIGHT };
}

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(0, width) * Math.max(0, height);
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
