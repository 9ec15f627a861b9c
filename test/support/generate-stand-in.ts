// usage: node dist/test/generate-stand-in.js <arguments of llq generate>
// `llq generate` on the stand-in engine, which computes everything anew for every token.
import { EXIT_CODE, LlqError } from "../../formats/errors.js";
import { createGenerateCommand } from "../../src/commands/generate/command.js";
import { evaluatorEngine } from "./stand-in-engine.js";

try {
  await createGenerateCommand(evaluatorEngine).parseAsync();
} catch (error) {
  if (!(error instanceof LlqError)) throw error;
  process.stderr.write(
    `error: ${error.message}\n${error.hint === undefined ? "" : ` hint: ${error.hint}\n`}`,
  );
  process.exitCode = EXIT_CODE[error.code];
}
