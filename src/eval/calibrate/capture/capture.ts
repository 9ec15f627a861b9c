import { badInput } from "../../../../formats/errors.js";
import type { Kernels } from "../../../kernels/kernels.js";
import { t } from "../../../language/t.js";
import { outputInput } from "../../../net/head.js";
import { runLayer } from "../../../net/layer.js";
import type { HeadPlan, LayerInputs, LayerPlan } from "../../../net/plan/types.js";
import { streamWeights } from "../../../net/products/streamed.js";
import {
  aboutSpan,
  batchTokens,
  loadColumns,
  loadStates,
  roomFor,
  type Span,
  storeColumns,
  storeStates,
} from "../../../net/span.js";
import type { InputTap } from "../../../net/squares.js";
import { statesOf } from "../../../net/streams.js";
import type { Descriptors } from "../../../rows/rows.js";
import type { JobKind } from "../../../run/threads/messages.js";

/** Where rows of f32 are put that belong to the tokens of a group: [tokens of the group][columns]. Plain data. */
export interface Place {
  readonly to: SharedArrayBuffer;
  /** What is taken off, as large: the same rows of the other stream. */
  readonly minus?: SharedArrayBuffer | undefined;
}

/** What a token of each of a group's chunks counts: rows are put down times the root of it. */
type Weights = readonly number[];

/** What a job looks for. Plain data. */
export interface Wanted {
  /** Name of the input, as inputsOf has it. */
  readonly input: string;
  readonly columns: number;
  /** For what goes into the matrices; absent: it is not wanted. */
  readonly x?: Place | undefined;
  /** Of experts, for the rows that each gets, as they come: so many for each token of the job. */
  readonly rowsOfToken?: number | undefined;
  /** For the hidden states when the matrix has added to them; absent: they are not wanted. */
  readonly added?: Place | undefined;
  readonly weights: Weights;
}

/** Work for one thread: run some chunks through a layer until all that is wanted has passed by. Plain data. */
export interface CaptureJob {
  readonly files: Descriptors;
  readonly span: Span;
  readonly layer: LayerPlan;
  readonly rope: SharedArrayBuffer | undefined;
  /** Hidden states of a token. */
  readonly states: number;
  readonly inputs: LayerInputs | undefined;
  /** Each of another input. */
  readonly wanted: readonly Wanted[];
  /** The layer is run to its end, and the hidden states are those behind it. */
  readonly isPass: boolean;
}

/** Rows of an expert, one after the other in the place for the group. */
export interface ExpertRows {
  readonly expert: number;
  readonly row: number;
  readonly rows: number;
  /** What they count together. */
  readonly weight: number;
}

/** Thrown to end a layer in the middle. */
const ENOUGH = Symbol("enough");

export const captureJob: JobKind<CaptureJob, readonly ExpertRows[]> = {
  name: "capture",
  run: capture,
  about: ({ wanted, isPass, span }) => {
    const what = [...wanted.map(({ input }) => input), ...(isPass ? [t`the whole layer`] : [])];
    return t`${what.join(", ")} of ${aboutSpan(span)}`;
  },
};

/** @throws LlqError `bad-input` for activations that are no finite numbers */
function capture(job: CaptureJob, kernels: Kernels): readonly ExpertRows[] {
  kernels.reset();
  const { files, span, layer, rope, inputs, wanted, isPass } = job;
  const states = loadStates(kernels, span, job.states);
  const squares = wanted.length > 0 ? new Captures(kernels, span, wanted, isPass) : undefined;
  const { kept: columns = [], stateOf } = layer.mixer.plan;
  const kept = columns.map((each) => (stateOf === undefined ? roomFor : loadColumns)(kernels, span, each));
  const work = { kernels, weights: streamWeights(files), activations: "f32", batch: span, rope } as const;
  try {
    runLayer({ ...work, squares, inputs, ...(columns.length > 0 && { kept }) }, layer, states);
  } catch (error) {
    if (error !== ENOUGH) throw error;
  }
  if (!isPass) return squares?.experts ?? [];
  for (const x of states) {
    checkActivations(kernels, x, batchTokens(span) * span.width, t`the hidden states behind a layer`);
  }
  storeStates(kernels, span, states);
  if (stateOf === undefined) {
    columns.forEach((each, i) => {
      storeColumns(kernels, span, each, kept[i]!);
    });
  }
  return squares?.experts ?? [];
}

/** Work for one thread: what goes into the output matrix. Plain data. */
export interface CaptureHeadJob {
  readonly files: Descriptors;
  readonly span: Span;
  readonly head: HeadPlan;
  readonly place: Place;
  readonly weights: Weights;
}

export const captureHeadJob: JobKind<CaptureHeadJob, undefined> = {
  name: "capture head",
  run: ({ files, span, head, place, weights }, kernels) => {
    kernels.reset();
    const on = { kernels, weights: streamWeights(files), activations: "f32" } as const;
    const states = loadStates(kernels, span, statesOf({ expand: head.merge }));
    const x = outputInput(on, head, states, batchTokens(span));
    const first = span.first * span.context;
    const what = { input: "output", x, columns: span.width, tokens: batchTokens(span) };
    put(kernels, place, first, what, (i) => weights[Math.floor((first + i) / span.context)]!);
  },
  about: ({ span }) => aboutSpan(span),
};

/** Looks for several inputs at once. */
class Captures implements InputTap {
  readonly #each: readonly Capture[];
  readonly #isPass: boolean;

  constructor(kernels: Kernels, span: Span, wanted: readonly Wanted[], isPass: boolean) {
    this.#each = wanted.map((each) => new Capture(kernels, span, each));
    this.#isPass = isPass;
  }

  get experts(): ExpertRows[] {
    return this.#each.flatMap(({ experts }) => experts);
  }

  add(...what: Parameters<Capture["add"]>): void {
    this.#tell((each) => each.add(...what));
  }

  added(...what: Parameters<Capture["added"]>): void {
    this.#tell((each) => each.added(...what));
  }

  addExpert(...what: Parameters<Capture["addExpert"]>): void {
    this.#tell((each) => each.addExpert(...what));
  }

  #tell(what: (each: Capture) => void): void {
    for (const each of this.#each) what(each);
    if (!this.#isPass && this.#each.every(({ isDone }) => isDone)) throw ENOUGH;
  }
}

class Capture {
  readonly experts: ExpertRows[] = [];
  /** Whether all tokens have passed. */
  isDone = false;
  readonly #kernels: Kernels;
  readonly #span: Span;
  readonly #wanted: Wanted;
  #seen = 0;
  #added = 0;

  constructor(kernels: Kernels, span: Span, wanted: Wanted) {
    this.#kernels = kernels;
    this.#span = span;
    this.#wanted = wanted;
  }

  add(input: string, x: number, tokens: number, columns: number): void {
    if (input !== this.#wanted.input) return;
    const place = this.#wanted.x;
    if (place !== undefined) this.#put(place, this.#seen, { input, x, columns, tokens });
    this.#seen += tokens;
    if (this.#wanted.added === undefined) this.#count(this.#seen);
  }

  added(x: number, tokens: number): void {
    const { added, input } = this.#wanted;
    // What is added of other inputs does not count: the wanted one is a step ahead of its own alone.
    if (added === undefined || this.#seen !== this.#added + tokens) return;
    this.#put(added, this.#added, { input, x, columns: this.#span.width, tokens });
    this.#added += tokens;
    this.#count(this.#added);
  }

  addExpert(input: string, x: number, tokens: readonly number[], columns: number, expert: number): void {
    const { x: place, rowsOfToken = 0 } = this.#wanted;
    if (input !== this.#wanted.input || place === undefined) return;
    const row = this.#start * rowsOfToken + this.#seen;
    const weightOf = (i: number) => this.#weightOf(tokens[i]!);
    put(this.#kernels, place, row, { input, x, columns, tokens: tokens.length }, weightOf);
    const weight = tokens.reduce((sum, _, i) => sum + weightOf(i), 0);
    this.experts.push({ expert, row, rows: tokens.length, weight });
    this.#seen += tokens.length;
    this.#count(this.#seen / rowsOfToken);
  }

  /** Puts down rows of the job's tokens from the `first` on. */
  #put(place: Place, first: number, rows: Rows): void {
    put(this.#kernels, place, this.#start + first, rows, (i) => this.#weightOf(first + i));
  }

  /** Of a token of the job. */
  #weightOf(token: number): number {
    return this.#wanted.weights[Math.floor((this.#start + token) / this.#span.context)]!;
  }

  get #start(): number {
    return this.#span.first * this.#span.context;
  }

  #count(tokens: number): void {
    this.isDone = tokens === batchTokens(this.#span);
  }
}

/** [tokens][columns] at x. */
interface Rows {
  readonly input: string;
  readonly x: number;
  readonly columns: number;
  readonly tokens: number;
}

/** Puts rows down from `first` on, less those that are there where that is wanted. */
function put(
  kernels: Kernels,
  { to, minus }: Place,
  first: number,
  { input, x, columns, tokens }: Rows,
  weightOf: (row: number) => number,
): void {
  checkActivations(kernels, x, tokens * columns, t`what goes into ${input}`);
  for (let row = 0; row < tokens; row++) {
    const own = kernels.floats(x + row * columns * 4, columns);
    const at = (first + row) * columns * 4;
    const target = new Float32Array(to, at, columns);
    const other = minus && new Float32Array(minus, at, columns).slice();
    const factor = Math.sqrt(weightOf(row));
    if (factor === 1) target.set(own);
    else for (let i = 0; i < columns; i++) target[i] = factor * own[i]!;
    if (other !== undefined) for (let i = 0; i < columns; i++) target[i]! -= other[i]!;
  }
}

function checkActivations(kernels: Kernels, x: number, floats: number, what: string): void {
  if (kernels.call("first_nonfinite")(x, floats) < 0) return;
  throw badInput(t`${what} is not finite`, t`weights are damaged, or too large for f32 arithmetic`);
}
