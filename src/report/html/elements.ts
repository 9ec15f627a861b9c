import { escapeXml } from "../../escape.js";

// Pieces of HTML that sections share.

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

/** A paragraph of text. */
export function note(text: string): string {
  return `<p class="note">${escapeXml(text)}</p>`;
}

/** Lines and names of what a chart lays over each other; `classes` are those of the lines. */
export function legend(names: readonly string[], classes: readonly string[]): string {
  const items = names.map((name, i) => {
    const swatch = `<svg class="swatch" viewBox="0 0 28 8" aria-hidden="true"><line class="${classes[i]}" x1="0" y1="4" x2="28" y2="4"/></svg>`;
    return `<li>${swatch}${escapeXml(name)}</li>`;
  });
  return `<ul class="legend">${items.join("")}</ul>`;
}
