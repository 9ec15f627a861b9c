import { CHOICE_KIND } from "../../eval/parts/choice.js";
import { COMPARE_KIND } from "../../eval/parts/compare.js";
import { IMATRIX_KIND } from "../../eval/parts/imatrix.js";
import { PERPLEXITY_KIND } from "../../eval/parts/perplexity.js";
import { SENSITIVITY_KIND } from "../../eval/parts/sensitivity.js";
import { FILE_KIND } from "../../run/parts/file.js";
import { FILES_KIND } from "../../run/parts/files.js";
import { VERIFY_KIND } from "../../run/parts/verify.js";
import { choice } from "./choice.js";
import { comparison } from "./compare.js";
import { imatrix, sensitivity } from "./measured.js";
import { oneFile, severalFiles } from "./model.js";
import { perplexity } from "./perplexity.js";
import type { Kind } from "./types.js";
import { verified } from "./verify.js";

/** By what a part's record calls it. */
export const KINDS: Readonly<Record<string, Kind>> = {
  [FILE_KIND]: oneFile,
  [FILES_KIND]: severalFiles,
  [IMATRIX_KIND]: imatrix,
  [SENSITIVITY_KIND]: sensitivity,
  [PERPLEXITY_KIND]: perplexity,
  [CHOICE_KIND]: choice,
  [COMPARE_KIND]: comparison,
  [VERIFY_KIND]: verified,
};
