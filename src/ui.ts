import { SingleBar } from "cli-progress";
import type { GenericSchema, InferInput } from "valibot";
import { LlqError } from "../formats/errors.js";
import { visible } from "./escape.js";
import { t } from "./language/t.js";
import { cutText, padText, textWidth } from "./language/width.js";

/** Bytes in the unit a person would choose; binary units, as file managers and llama.cpp count. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

/** A count in thousands, millions or billions. */
export function formatCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} G`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(2)} M`;
  if (count >= 1e3) return `${(count / 1e3).toFixed(1)} k`;
  return String(count);
}

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? t`${h} h ${m} min` : t`${m} min ${s} s`;
}

/** Lines of columns, two spaces apart; numbers (cells that start with a digit) to the right. */
export function formatTable(header: readonly string[], cells: readonly (readonly string[])[]): string[] {
  const rows = cells.map((row) => row.map((cell) => visible(cell, MAX_CELL)));
  const widths = header.map((cell, i) =>
    rows.reduce((most, row) => Math.max(most, textWidth(row[i]!)), textWidth(cell)),
  );
  const numeric = header.map((_, i) => rows.length > 0 && rows.every((row) => /^[-\d]/.test(row[i]!)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => padText(cell, widths[i]!, numeric[i] ? "start" : "end"))
      .join("  ")
      .trimEnd();
  return [header, ...rows].map(line);
}

/** Characters of a cell; a name that is longer is cut. */
const MAX_CELL = 200;

let isQuiet = false;

/** From now on says nothing but results and errors. */
export function beQuiet(): void {
  isQuiet = true;
}

/** Reports how far something is. `note` is appended, such as a running value. */
export interface Progress {
  update(done: number, total: number, note?: string): void;
  stop(): void;
}

/** Seconds between plain lines when there is no terminal to redraw. */
const LINE_INTERVAL = 10;

/** Progress on stderr: a bar on a terminal, a line now and then elsewhere, nothing when `quiet`. */
export function createProgress(title: string, quiet = false): Progress {
  if (quiet || isQuiet) return { update() {}, stop() {} };
  return process.stderr.isTTY ? barProgress(title) : lineProgress(title);
}

/** A bar of its own is no shorter than this. */
const SHORTEST_BAR = 10;
const LONGEST_BAR = 40;

/** A line no longer than the terminal is wide: percent and time left stay, then come the title, the note, the bar. */
export function barLine(
  title: string,
  { progress, eta, note }: { readonly progress: number; readonly eta: number; readonly note: string },
  columns: number,
): string {
  const percent = `${Math.floor(100 * progress)} %`;
  const left = Number.isFinite(eta) ? t`${percent}, ${formatSeconds(eta)} left` : percent;
  const room = columns - 1 - textWidth(left); // the last column would wrap on some terminals
  if (room < 0) return percent.slice(0, Math.max(0, columns - 1));
  const short = cutText(visible(title), Math.max(0, room - 2));
  const head = room > 6 ? `${short}: ` : "";
  const tail = note !== "" && textWidth(head) + textWidth(note) + 2 <= room ? `, ${note}` : "";
  const width = Math.min(LONGEST_BAR, room - textWidth(head) - textWidth(tail) - 3);
  const done = Math.round(width * Math.min(1, progress));
  const bar = width < SHORTEST_BAR ? "" : `[${"=".repeat(done)}${"-".repeat(width - done)}] `;
  return `${head}${bar}${left}${tail}`;
}

function barProgress(title: string): Progress {
  const bar = new SingleBar({
    format: (_, { progress, eta }, { note }) =>
      barLine(title, { progress, eta: Number(eta), note }, process.stderr.columns || 80),
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    etaBuffer: 50,
  });
  let started = false;
  return {
    update(done, total, note = "") {
      if (!started) bar.start(total, done, { note });
      else bar.update(done, { note });
      started = true;
    },
    stop() {
      bar.stop();
    },
  };
}

function lineProgress(title: string): Progress {
  const started = performance.now();
  let last = started;
  return {
    update(done, total, note = "") {
      const now = performance.now();
      if (now - last < LINE_INTERVAL * 1000 || done === 0) return;
      last = now;
      const left = ((now - started) / 1000) * (total / done - 1);
      const percent = Math.floor((100 * done) / total);
      process.stderr.write(
        t`${visible(title)}: ${percent} %, ${formatSeconds(left)} left${note && `, ${note}`}\n`,
      );
    },
    stop() {},
  };
}

/** Something the user should know that is no error. */
export function warn(message: string): void {
  if (!isQuiet) process.stderr.write(t`warning: ${visible(message)}\n`);
}

/**
 * One line of text on stdout, whatever characters the names in it have. One that begins as a command to GitHub's runner
 * is none.
 */
export function printLine(line = ""): void {
  const shown = visible(line).replace(/^(\s*)([:#])(?=:|#\[)/, (_, space: string, sign: string) => {
    return `${space}\\u{${sign.charCodeAt(0).toString(16)}}`;
  });
  process.stdout.write(`${shown}\n`);
}

/** Columns on stdout. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  for (const line of formatTable(header, rows)) printLine(line);
}

/** A document as it is before it is printed: nothing in it need be changed. */
type Document<S extends GenericSchema> = Frozen<InferInput<S>>;

type Frozen<T> = T extends readonly (infer E)[]
  ? readonly Frozen<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Frozen<T[K]> }
    : T;

let printed = false;

/** Whether a document was printed: there is one at most. */
export function isJsonPrinted(): boolean {
  return printed;
}

/**
 * One JSON document on stdout, in which everything that a terminal might obey is escaped as JSON has it. Its schema types it
 * and is not loaded: `printJson<typeof WRITTEN>(...)`.
 */
export function printJson<S extends GenericSchema>(value: Document<S>): void {
  printed = true;
  const text = JSON.stringify(value, null, 2).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  process.stdout.write(`${text}\n`);
}

/**
 * Runs `work` with a signal that fires on Ctrl-C or a polite kill, with the error to end with. A second Ctrl-C ends at
 * once, as does the first before and after the work.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const names = ["SIGINT", "SIGTERM"] as const;
  const stop = (name: NodeJS.Signals) => {
    ignore();
    controller.abort(stoppedBy(name));
  };
  const ignore = () => {
    for (const name of names) process.removeListener(name, stop);
  };
  for (const name of names) process.on(name, stop);
  try {
    return await work(controller.signal);
  } finally {
    ignore();
  }
}

/** What a run ends with that a signal has stopped. */
export function stoppedBy(signal: NodeJS.Signals): LlqError {
  return new LlqError(signal === "SIGTERM" ? "terminated" : "interrupted", t`stopped by ${signal}`);
}

/** A signal that fires when stdout takes no more, such as when whoever reads has gone; main.ts says what of it is an error. */
export function closedOutputSignal(): AbortSignal {
  const controller = new AbortController();
  process.stdout.on("error", () => controller.abort());
  return controller.signal;
}
