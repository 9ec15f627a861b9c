import { codePath, findInstalled } from "#host/assets";
import { LlqError } from "../formats/errors.js";
import { t } from "./language/t.js";

/**
 * Where a file of dist/ (or package.json) is: in the package that this code belongs to; else in an llq that is installed
 * where the code is.
 * @throws LlqError `system` when it is nowhere
 */
export function installedPath(name: string): string {
  const path = findInstalled(name);
  if (path !== undefined) return path;
  throw new LlqError("system", t`${codePath()}: ${name} of llq is not found`, {
    hint: t`llq must be installed where a bundle with it runs: it reads modules of WebAssembly and starts threads`,
  });
}
