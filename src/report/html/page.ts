import { escapeXml } from "../../escape.js";
import type { ComparedModel } from "../../eval/compare/compare-models.js";
import { t } from "../../language/t.js";
import { formatBytes } from "../../ui.js";
import { VERSION } from "../../version.js";
import { type ComparisonReport, columns, comparisonExtent, comparisonRows } from "../comparison.js";
import {
  binName,
  divergenceHistogramChart,
  type Limits,
  layerChart,
  limitsOf,
  partName,
  percentOf,
} from "./model-charts.js";
import { distinctNames, shortLabels } from "./names.js";
import { divergenceChart, perplexityChart } from "./size-quality.js";
import { STYLE } from "./style.js";

/**
 * A page that stands alone: nothing in it is loaded from elsewhere, nothing in it runs. The same comparison gives the
 * same bytes. It is well-formed XML too, but for the first line.
 */
export function comparisonPage(report: ComparisonReport): string {
  const { base, candidates } = report.result;
  const [baseName, ...names] = distinctNames([base.path, ...candidates.map(({ path }) => path)]) as [
    string,
    ...string[],
  ];
  // What does not differ would take all the room of charts that show how others differ.
  const named = candidates.map((model, i) => ({ model, name: names[i]! }));
  const differing = named.filter(({ model }) => model.divergence.kld.value >= MIN_KLD);
  const models = differing.map(({ model }) => model);
  const limits = limitsOf(models);
  const equal = named.filter((one) => !differing.includes(one)).map(({ name }) => escapeXml(name));
  const same =
    equal.length === 0
      ? ""
      : t`Not drawn, as nothing measurable sets them apart from the base: ${equal.join(", ")}.`;
  const title = t`${names.length === 1 ? names[0] : t`${names.length} models`} against ${baseName}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="generator" content="llq ${VERSION}"/>
<title>${escapeXml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${escapeXml(title)}</h1>
<p class="lead">${escapeXml(`${report.text}: ${comparisonExtent(report)}`)}</p>
</header>
<main>
<section aria-labelledby="table">
<h2 id="table">Summary</h2>
${summaryTable(report, [baseName, ...names])}
</section>
<section aria-labelledby="size">
<h2 id="size">Size and quality</h2>
<p class="note">Lower is better. Lines through the points are standard errors, with what base and file both find
hard taken out. The dashed line joins the files that no smaller one equals.</p>
${same === "" ? "" : `<p class="note">${same}</p>`}
${models.length === 0 ? "" : sizeCharts(models, shortLabels(differing.map(({ name }) => name)))}
${details(t`The points as a table`, sizeTable(candidates, names))}
</section>
<section aria-labelledby="models">
<h2 id="models">Where the loss is</h2>
<p class="note">Left, how far each layer's weights are from the base's; right, how the divergence is spread over the
tokens. The axes are the same for all files.</p>
${differing.map(({ model, name }, i) => card(model, `model-${i + 1}`, name, limits)).join("\n")}
</section>
</main>
<footer>Made by llq ${VERSION}. Tokens a second are this machine's; all else is the same everywhere.</footer>
</body>
</html>
`;
}

/** A mean divergence below this is what rounding leaves of none. */
const MIN_KLD = 1e-6;

function sizeCharts(models: readonly ComparedModel[], labels: readonly string[]): string {
  return `<div class="pair">
<figure>${divergenceChart(models, labels)}</figure>
<figure>${perplexityChart(models, labels)}</figure>
</div>`;
}

function summaryTable(report: ComparisonReport, names: readonly string[]): string {
  const { base } = report.result;
  const rows = comparisonRows(report).map(({ model, cells }, i) => {
    const tag = model === base ? '<span class="tag">base</span>' : "";
    const values = cells.map((cell, column) => {
      const [value, error] = cell.split(" ± ") as [string, string | undefined];
      const bar = error === undefined ? "" : `<span class="error-bar"> ± ${escapeXml(error)}</span>`;
      const name = escapeXml(columns()[column]!.name);
      return `<td role="cell" data-name="${name}"><span>${escapeXml(value)}${bar}</span></td>`;
    });
    const name = `<td role="cell">${escapeXml(names[i]!)}${tag}</td>`;
    return `<tr role="row">${name}${values.join("")}</tr>`;
  });
  // The roles survive the layout for phones, where rows are no table rows any more.
  const heads = ["model", ...columns().map(({ name }) => name)].map(
    (name) => `<th role="columnheader" scope="col">${escapeXml(name)}</th>`,
  );
  return [
    '<table class="summary" role="table">',
    `<thead role="rowgroup"><tr role="row">${heads.join("")}</tr></thead>`,
    `<tbody role="rowgroup">${rows.join("\n")}</tbody>`,
    "</table>",
  ].join("\n");
}

function sizeTable(models: readonly ComparedModel[], names: readonly string[]): string {
  const rows = models.map(({ fileBytes, divergence: { kld, pplRatio } }, i) => [
    names[i]!,
    String(fileBytes),
    kld.value.toPrecision(4),
    (100 * (pplRatio.value - 1)).toFixed(3),
  ]);
  return table(["model", "bytes", t`mean KLD`, t`PPL change, %`], rows);
}

function card(model: ComparedModel, id: string, name: string, limits: Limits): string {
  const { parts, histogram } = model;
  const layers = parts.map((part) => {
    const worst = part.tensors.reduce((a, b) => (b.relativeError > a.relativeError ? b : a));
    return [
      partName(part),
      percentOf(part.relativeError),
      `${worst.name}, ${worst.dtype}: ${percentOf(worst.relativeError)}`,
    ];
  });
  const bins = histogram.counts.flatMap((count, i) =>
    count === 0 ? [] : [[binName(histogram.edges, i), String(count)]],
  );
  const { kld, sameTop } = model.divergence;
  const facts = [
    formatBytes(model.fileBytes),
    t`mean KLD ${kld.value.toPrecision(3)}`,
    t`same top token ${(100 * sameTop.value).toFixed(1)} %`,
  ];
  const left =
    parts.length === 0
      ? t`<p>No tensor is of the base's name and shape.</p>`
      : `<figure>${layerChart(model, `${id}-layers`, name, limits)}</figure>`;
  return `<article class="card" aria-labelledby="${id}">
<h3 id="${id}">${escapeXml(name)}</h3>
<p class="note">${escapeXml(facts.join(" · "))}</p>
<div class="pair">
${left}
<figure>${divergenceHistogramChart(model, `${id}-kld`, name, limits)}</figure>
</div>
${details(t`Layers as a table`, table(["part", "error", t`worst tensor`], layers, "words"))}
${details(t`Divergence as a table`, table([t`KLD, nats`, "tokens"], bins))}
</article>`;
}

export function details(summary: string, content: string): string {
  return `<details><summary>${escapeXml(summary)}</summary>${content}</details>`;
}

export function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  className = "",
): string {
  const head = heads.map((name) => `<th scope="col">${escapeXml(name)}</th>`).join("");
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${escapeXml(cell)}</td>`).join("")}</tr>`);
  return `<table class="${className}"><thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table>`;
}
