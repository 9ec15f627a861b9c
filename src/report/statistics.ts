import type { ImatrixStatistics } from "../eval/imatrix/statistics.js";
import { t } from "../language/t.js";
import { printLine, printTable, warn } from "../ui.js";

/** As C prints it: of an f32 half-way between two, the even one. */
function fixed(value: number, digits: number): string {
  const scaled = value * 10 ** digits; // exact
  const isTie = scaled - Math.floor(scaled) === 0.5;
  return (isTie ? (2 * Math.round(scaled / 2)) / 10 ** digits : value).toFixed(digits);
}

const percent = (share: number, digits = 2) => `${fixed(Math.fround(100 * share), digits)} %`;

/** The figures of an importance matrix, with the digits that llama-imatrix prints. */
export function printStatistics(file: string, { matrices, layers, empty }: ImatrixStatistics): void {
  for (const name of empty) warn(t`${file}: entry ${name} has seen no token`);
  printTable(
    ["layer", "matrix", "Σ(act²)", "min", "max", "μ", "σ", "active", "N", "entropy", t`of most`, "ZD", "cos"],
    matrices.map((each) => [
      each.layer === undefined ? "-" : String(each.layer),
      each.name,
      fixed(each.sum, 2),
      fixed(each.min, 4),
      fixed(each.max, 4),
      fixed(each.mean, 2),
      fixed(each.deviation, 2),
      percent(each.active),
      String(each.columns),
      fixed(each.entropy, 4),
      percent(each.evenness),
      percent(each.outliers),
      fixed(each.similarity, 4),
    ]),
  );
  printLine();
  printTable(
    ["layer", "mean Σ(act²)", t`mean ZD`, t`mean cos`],
    layers.map(({ layer, sum, outliers, similarity }) => [
      String(layer),
      fixed(sum, 2),
      percent(outliers, 4),
      fixed(similarity, 4),
    ]),
  );
  printLine();
  printLine(
    t`act²: mean square of what goes into a column; active: columns above 1e-5; of most: entropy as a`,
  );
  printLine(t`share of what N columns can have; ZD: columns more than σ above μ; cos: to the block before`);
}
