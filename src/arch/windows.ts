import { LlqError } from "../../formats/errors.js";

/**
 * Of how many layers the last has no window, and the others have one: `usual`, if that fits.
 * @param hasWindow of each layer
 * @throws LlqError `unsupported` for layers in another order
 */
export function windowPeriodOf(name: string, hasWindow: readonly boolean[], usual?: number): number {
  const fits = (period: number) => hasWindow.every((has, i) => has === (i % period !== period - 1));
  const whole = hasWindow.indexOf(false);
  const period = whole < 0 ? hasWindow.length + 1 : whole + 1;
  const found = [usual ?? period, period].find(fits);
  if (found !== undefined) return found;
  throw new LlqError("unsupported", `${name}: the layers with windows are in no order that is supported`, {
    hint: "supported: in all layers, in none, in all but every n-th",
  });
}
