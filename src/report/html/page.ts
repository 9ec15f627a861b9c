import { escapeXml } from "../../escape.js";
import type { ComparedModel, MeasuredModel } from "../../eval/compare/compare-models.js";
import { t } from "../../language/t.js";
import { type ComparisonReport, comparisonExtent, largestFirst } from "../comparison.js";
import { details, legend, note, table } from "./elements.js";
import { type Made, madeText } from "./made.js";
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
import { layersOverlay, lineClasses, tokensOverlay } from "./overlay.js";
import { section, standalonePage } from "./shell.js";
import { divergenceChart, perplexityChart } from "./size-quality.js";
import { summaryTable } from "./summary.js";
import { CLOSE, describeFile, MIN_KLD, verdict } from "./verdict.js";

interface Named {
  readonly model: ComparedModel;
  readonly name: string;
}

/**
 * A page that stands alone: nothing in it is loaded from elsewhere, nothing in it runs. It is well-formed XML too, but for
 * the first line, and names files without the folders that they are in. The same comparison gives the same bytes, but for
 * when and where it was made.
 */
export function comparisonPage(report: ComparisonReport, made?: Made): string {
  const sorted = largestFirst(report);
  const { base, candidates } = sorted.result;
  const names = distinctNames([base.path, ...candidates.map(({ path }) => path)]);
  const [baseName, ...fileNames] = names as [string, ...string[]];
  const files = candidates.map((model, i) => ({ model, name: fileNames[i]! }));
  // What does not differ would take all the room of charts that show how others differ.
  const differing = files.filter(({ model }) => model.divergence.kld.value >= MIN_KLD);
  const what = files.length === 1 ? fileNames[0] : t`${files.length} files`;
  const title = t`${what} compared with ${baseName}`;
  const text = report.text === "-" ? t`standard input` : distinctNames([report.text])[0]!;
  const main = [
    section("table", t`Summary`, summaryTable(sorted, names) + readingNotes()),
    section("size", t`Size and quality`, sizeCharts(files, differing)),
    differing.length === 0 ? "" : section("loss", t`Where the loss is`, overlays(differing)),
    differing.length === 0 ? "" : section("models", t`File by file`, cards(base, differing)),
  ];
  return standalonePage({
    title,
    header: `<p class="verdict">${escapeXml(verdict(base, files))}</p>
<p class="lead">${escapeXml(`${text}: ${comparisonExtent(report)}`)}</p>`,
    main: main.join("\n"),
    footer: madeText(made),
  });
}

/** What the numbers mean, for who has not met them. */
function readingNotes(): string {
  const notes = [
    t`Perplexity: how surprised a model is by the text; lower is better. PPL / base is 1 for a file that predicts as well as the base.`,
    t`KLD (Kullback-Leibler divergence): how far a file's probabilities of the next token are from the base's; 0 is the same. Here a file is called close below a mean of ${CLOSE}.`,
    t`Same top: in how many places the file and the base find the same token likeliest.`,
    t`Numbers behind ± are standard errors: on another text of this kind, a value would be within two of them in 19 of 20 cases.`,
  ];
  return details(t`How to read this`, notes.map(note).join(""));
}

function sizeCharts(files: readonly Named[], differing: readonly Named[]): string {
  const models = differing.map(({ model }) => model);
  const labels = shortLabels(differing.map(({ name }) => name));
  const equal = files.filter((file) => !differing.includes(file)).map(({ name }) => name);
  const rows = files.map(({ model: { fileBytes, divergence }, name }) => [
    name,
    String(fileBytes),
    divergence.kld.value.toPrecision(4),
    (100 * (divergence.pplRatio.value - 1)).toFixed(3),
  ]);
  return [
    note(
      t`Lower is better, left is smaller. A point is a file, the line through it its standard error. The dashed line joins the files that no smaller one equals.`,
    ),
    equal.length === 0
      ? ""
      : note(t`Not drawn, as nothing measurable sets them apart from the base: ${equal.join(", ")}.`),
    models.length === 0 ? "" : pair(divergenceChart(models, labels), perplexityChart(models, labels)),
    details(t`The points as a table`, table([t`model`, t`bytes`, t`mean KLD`, t`PPL change, %`], rows)),
  ].join("\n");
}

function overlays(files: readonly Named[]): string {
  const models = files.map(({ model }) => model);
  const classes = lineClasses(files.length);
  const hasParts = models.some(({ parts }) => parts.length > 0);
  const tokens = tokensOverlay(models, classes);
  return [
    note(
      t`Left, how far the weights of each layer are from the base's: peaks are layers that more bits would help. Right, how many tokens diverge by more than so much.`,
    ),
    legend(
      files.map(({ name }) => name),
      classes,
    ),
    hasParts ? pair(layersOverlay(models, classes), tokens) : `<figure>${tokens}</figure>`,
  ].join("\n");
}

function pair(left: string, right: string): string {
  return `<div class="pair">\n<figure>${left}</figure>\n<figure>${right}</figure>\n</div>`;
}

function cards(base: MeasuredModel, files: readonly Named[]): string {
  const limits = limitsOf(files.map(({ model }) => model));
  const about = note(t`Right, the axes are the same for all files; left, each has its own.`);
  return about + files.map((file, i) => card(base, file, `model-${i + 1}`, limits)).join("\n");
}

function card(base: MeasuredModel, { model, name }: Named, id: string, limits: Limits): string {
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
  const spread = divergenceHistogramChart(model, `${id}-kld`, name, limits);
  const charts =
    parts.length === 0
      ? `${note(t`No tensor is of the base's name and shape.`)}<figure>${spread}</figure>`
      : pair(layerChart(model, `${id}-layers`, name, limitsOf([model])), spread);
  return `<article class="card" aria-labelledby="${id}">
<h3 id="${id}">${escapeXml(name)}</h3>
${note(describeFile(base, model))}
${charts}
${details(t`Layers as a table`, table([t`part`, t`error`, t`worst tensor`], layers, "words"))}
${details(t`Divergence as a table`, table([t`KLD, nats`, t`tokens`], bins))}
</article>`;
}
