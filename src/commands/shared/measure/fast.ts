import { Option } from "commander";
import { LlqError } from "../../../../formats/errors.js";
import { t } from "../../../language/t.js";
import { chooseFused } from "../../../net/products/fused.js";
import { warn } from "../../../ui.js";

export const fastOption = () =>
  new Option(
    "--fast",
    t`multiply floats with fused multiply-adds: F16, BF16 and F32 are faster, but the last digits are this engine's own`,
  );

/**
 * Whether floats meet in fused products; undefined when that is not asked for. Says so where this engine has none.
 * @param exact what is to have the same bits everywhere, by option: whether it is wanted
 * @throws LlqError `usage` when one of them is
 */
export function chooseFast(
  fast: boolean | undefined,
  exact: Readonly<Record<string, boolean>>,
): boolean | undefined {
  if (!fast) return undefined;
  const wanted = Object.keys(exact).find((option) => exact[option]);
  if (wanted !== undefined) {
    throw new LlqError("usage", t`--fast and ${wanted} exclude each other`, {
      hint: t`what other machines go on from is to be exact`,
    });
  }
  const isFused = chooseFused() !== undefined;
  if (!isFused)
    warn(t`--fast: this engine has no fused multiply-adds that are right, so the exact ones are used`);
  return isFused;
}
