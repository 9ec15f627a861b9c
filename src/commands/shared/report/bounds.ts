import { Option } from "commander";
import { LlqError } from "../../../../formats/errors.js";
import {
  type Bounds,
  describeVerdict,
  gateResult,
  isBroken,
  judge,
  needsBase,
} from "../../../eval/perplexity/gate.js";
import type { ChunkMeans } from "../../../eval/perplexity/tally.js";
import { t } from "../../../language/t.js";
import type { Gate } from "../../../report/report.js";
import { positiveNumber } from "../options.js";

export interface BoundOptions extends Bounds {
  readonly strict?: boolean;
}

/** What a model must hold, for commands that measure its perplexity. */
export function boundOptions(): Option[] {
  const number = (flags: string, description: string, most?: number) =>
    new Option(flags, description).argParser(positiveNumber(most));
  return [
    number("--max-ppl <x>", t`fail above this perplexity`),
    number("--max-ppl-ratio <x>", t`fail above this ratio to the base's perplexity`),
    number("--max-kld <x>", t`fail above this mean divergence from the base, in nats`),
    number("--min-top1 <x>", t`fail below this share of same top tokens, 0 to 1`, 1),
    new Option(
      "--strict",
      t`when an error bar reaches a bound, end as undecided (status 75), whatever the value`,
    ),
  ];
}

export function hasBounds(options: BoundOptions): boolean {
  return needsBase(options) || options.maxPpl !== undefined;
}

/** The bounds, judged; undefined where there are none. @param clear as judge has it */
export function gateOf(
  options: BoundOptions,
  chunks: readonly ChunkMeans[],
  clear?: number,
): Gate | undefined {
  const { strict = false } = options;
  const verdicts = judge(options, chunks, clear);
  return verdicts.length === 0 ? undefined : { result: gateResult(verdicts, strict), strict, verdicts };
}

/** @throws LlqError `gate` with a line for each broken bound, `undecided` with one for each that is not clear */
export function passGate(path: string, { result, strict, verdicts }: Gate): void {
  if (result === "passed") return;
  const isFailed = result === "failed";
  const guilty = verdicts.filter((verdict) =>
    isFailed ? isBroken(verdict, strict) : verdict.outcome === "undecided",
  );
  const lines = guilty.map((verdict) => `${path}: ${describeVerdict(verdict)}`);
  const hint = isFailed ? undefined : t`more chunks narrow the error bar`;
  throw new LlqError(isFailed ? "gate" : "undecided", lines.join("; "), { hint });
}
