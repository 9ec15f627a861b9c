import type { GateResult, Verdict } from "../eval/perplexity/gate.js";
import type { Perplexity } from "../eval/perplexity/perplexity.js";
import { t } from "../language/t.js";

/** What an evaluation has found, as every form of report takes it. */
export interface Report {
  readonly model: string;
  readonly text: string | undefined;
  readonly base: string | undefined;
  readonly result: Perplexity;
  /** With --fast: whether products of floats were fused. */
  readonly fast?: boolean | undefined;
  /** Where there were bounds. */
  readonly gate: Gate | undefined;
}

export interface Gate {
  readonly result: GateResult;
  /** Undecided bounds do not pass by their values. */
  readonly strict: boolean;
  readonly verdicts: readonly Verdict[];
}

/** Of `document`. Grows when a reader of the old form would go wrong. */
const SCHEMA = 1 as const;

/** One JSON document. */
export function toDocument({ model, text, base, result, fast, gate }: Report) {
  const { ppl, activations, running, chunkMeans, protocol, chunksOfText, divergence, ...rest } = result;
  return {
    schema: SCHEMA,
    model,
    text,
    base,
    protocol: protocol.name,
    context: protocol.context,
    stride: protocol.stride,
    activations,
    fast,
    perplexity: ppl,
    chunks: running.length,
    chunksOfText,
    ...rest,
    divergence,
    gate,
    running,
  };
}

/** [what, value ± error] of everything that was measured. */
export function measures({ result }: Report): [name: string, value: string][] {
  const { ppl, error, divergence } = result;
  const rows: [string, string][] = [[t`perplexity`, `${ppl.toFixed(4)} ± ${error.toFixed(4)}`]];
  if (divergence === undefined) return rows;
  const { basePpl, lnPplRatio, kld, sameTop, deltaP, deltaPRms } = divergence;
  const percent = (value: number) => (100 * value).toFixed(3);
  return [
    ...rows,
    [t`perplexity of the base`, `${basePpl.value.toFixed(4)} ± ${basePpl.error.toFixed(4)}`],
    [t`ln(PPL / PPL of the base)`, `${lnPplRatio.value.toFixed(6)} ± ${lnPplRatio.error.toFixed(6)}`],
    [t`mean KLD`, `${kld.value.toFixed(6)} ± ${kld.error.toFixed(6)}`],
    [t`median KLD`, kld.median.toFixed(6)],
    [t`99.9 % KLD`, kld.percentiles["99.9"]!.toFixed(6)],
    [t`maximum KLD`, kld.max.toFixed(6)],
    [t`same top token`, `${percent(sameTop.value)} ± ${percent(sameTop.error)} %`],
    [t`mean Δp`, `${percent(deltaP.value)} ± ${percent(deltaP.error)} %`],
    [t`RMS Δp`, `${percent(deltaPRms.value)} ± ${percent(deltaPRms.error)} %`],
  ];
}

/** What the bounds came to, in a word. */
export function resultName(result: GateResult): string {
  return { passed: t`passed`, failed: t`failed`, undecided: t`undecided` }[result];
}

/** How much was evaluated, and how. */
export function extent({ result, fast }: Report): string {
  const { count, protocol, running, chunksOfText } = result;
  const chunks =
    running.length < chunksOfText ? t`${running.length} of ${chunksOfText}` : `${running.length}`;
  const how = t`${chunks} chunks of ${protocol.context} tokens, ${count} scored, by ${protocol.name}`;
  return fast ? `${how}, --fast` : how;
}
