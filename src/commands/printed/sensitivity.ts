import type { WrittenSensitivity } from "../../eval/sensitivity/sensitivity-file.js";
import { t } from "../../language/t.js";
import { formatSeconds, printLine, printTable } from "../../ui.js";

/** What --json prints. */
export function sensitivityDocument(model: string, { sensitivity, ...rest }: WrittenSensitivity) {
  const { file: _, tensors, ...about } = sensitivity;
  const list = [...tensors].map(([name, { kld }]) => ({ name, kld: Object.fromEntries(kld) }));
  return { schema: 1 as const, model, ...about, ...rest, tensors: list };
}

/** Tensors that are listed. */
const SHOWN = 10;

/** What was written, for people. */
export function printSensitivity({
  output,
  sensitivity,
  roundings,
  runs,
  resumed,
  seconds,
}: WrittenSensitivity): void {
  const { tensors, chunks, context } = sensitivity;
  const text = t`${chunks} chunks of ${context} tokens`;
  printLine(t`${output}: ${roundings} roundings of ${tensors.size} tensors on ${text}`);
  if (resumed > 0) printLine(t`${resumed} of ${runs} runs of a chunk were done already`);
  const rows = [...tensors].flatMap(([name, { kld }]) =>
    [...kld].map(([type, value]) => ({ name, type, value })),
  );
  rows.sort((a, b) => b.value - a.value);
  const cells = rows.slice(0, SHOWN).map(({ name, type, value }) => [name, type, value.toExponential(3)]);
  printTable([t`most sensitive`, t`as`, t`divergence`], cells);
  printLine(formatSeconds(seconds));
}
