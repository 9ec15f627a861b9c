import { escapeXml } from "../../escape.js";
import { t } from "../../language/t.js";
import { type ComparisonReport, columns, comparisonRows } from "../comparison.js";

/** What is said of each file in a row; on a phone each is a block of its own. */
export function summaryTable(report: ComparisonReport, names: readonly string[]): string {
  const { base } = report.result;
  const titles = columns().map(({ name }) => escapeXml(name));
  const rows = comparisonRows(report).map(({ model, cells }, i) => {
    const tag = model === base ? `<span class="tag">${escapeXml(t`base`)}</span>` : "";
    const values = cells.map((cell, column) => {
      const [value, error] = cell.split(" ± ") as [string, string | undefined];
      const bar = error === undefined ? "" : `<span class="error-bar"> ± ${escapeXml(error)}</span>`;
      return `<td role="cell" data-name="${titles[column]}"><span>${escapeXml(value)}${bar}</span></td>`;
    });
    const name = `<td role="cell">${escapeXml(names[i]!)}${tag}</td>`;
    return `<tr role="row">${name}${values.join("")}</tr>`;
  });
  // The roles survive the layout for phones, where rows are no table rows any more.
  const heads = [escapeXml(t`model`), ...titles].map(
    (name) => `<th role="columnheader" scope="col">${name}</th>`,
  );
  return [
    '<table class="summary" role="table">',
    `<thead role="rowgroup"><tr role="row">${heads.join("")}</tr></thead>`,
    `<tbody role="rowgroup">${rows.join("\n")}</tbody>`,
    "</table>",
  ].join("\n");
}
