import type { WrittenImatrix } from "../../eval/imatrix/imatrix-file.js";
import { t } from "../../language/t.js";
import { formatSeconds, printLine } from "../../ui.js";

/** What was written, for people. */
export function printImatrix({ output, entries, chunks, chunkSize, computed }: WrittenImatrix): void {
  printLine(t`${output}: ${entries} matrices, ${chunks} chunks of ${chunkSize} tokens`);
  if (computed === undefined) return;
  if (computed.resumed > 0) printLine(t`${computed.resumed} chunks were done already`);
  printLine(t`${formatSeconds(computed.seconds)}, ${computed.tokensPerSecond.toFixed(0)} tokens/s`);
}
