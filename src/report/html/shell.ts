import { escapeXml } from "../../escape.js";
import { t } from "../../language/t.js";
import { VERSION } from "../../version.js";
import { STYLE } from "./style.js";

/** What is in a page; all but the title and the footer are HTML. */
export interface PageContent {
  readonly title: string;
  /** Beside what all pages have. */
  readonly style?: string;
  /** Below the title. */
  readonly header: string;
  readonly main: string;
  readonly footer: string;
}

/** A page of which nothing is loaded from elsewhere, and nothing runs. */
export function standalonePage({ title, style = "", header, main, footer }: PageContent): string {
  return `<!doctype html>
<html lang="${t`en`}">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="generator" content="llq ${VERSION}"/>
<title>${escapeXml(title)}</title>
<style>${STYLE}${style}</style>
</head>
<body>
<header>
<h1>${escapeXml(title)}</h1>
${header}
</header>
<main>
${main}
</main>
<footer>${escapeXml(footer)}</footer>
</body>
</html>
`;
}

/** A part of a page, under a title of its own. */
export function section(id: string, title: string, content: string): string {
  return `<section aria-labelledby="${id}">\n<h2 id="${id}">${escapeXml(title)}</h2>\n${content}\n</section>`;
}
