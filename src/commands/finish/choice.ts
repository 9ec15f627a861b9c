import { finishChoice } from "../../eval/parts/choice.js";
import type { CHOICE, CHOICE_FOLDER } from "../../report/documents/evaluate.js";
import { printJson } from "../../ui.js";
import { printChoice, printFolder } from "../printed/choice.js";
import type { Kind } from "./types.js";

/** What eval-choice says. The parts stay. */
export const choice: Kind = {
  takes: [],
  finish: (_, records, { json }) => {
    const { result, folder, protocol, ...about } = finishChoice(records);
    if (result !== undefined) {
      if (json) printJson<typeof CHOICE>({ schema: 1, ...about, ...result });
      else printChoice(about, result);
    }
    if (folder !== undefined) {
      if (json) printJson<typeof CHOICE_FOLDER>({ schema: 1, ...about, protocol, ...folder });
      else printFolder(about, folder);
    }
  },
};
