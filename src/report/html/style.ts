/** The style sheet of a report: light or dark as the reader's system is, one column on a phone, two on a screen. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fcfcfb; --card: #ffffff; --ink: #1b1f24; --muted: #59636e; --rule: #d8dde2; --grid: #eceff2;
  --accent: #0a5fb4; --fill: #7fb2e5; --mean: #b3450b;
  --c0: #0a5fb4; --c1: #c2500a; --c2: #0b7f5b; --c3: #8b3fb0; --c4: #8a6a00; --c5: #c2326b; --c6: #2e8fb5; --c7: #56606b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0f1317; --card: #161b21; --ink: #e6eaee; --muted: #9aa6b2; --rule: #2f3842; --grid: #232b33;
    --accent: #74b4f7; --fill: #35689c; --mean: #f0935a;
    --c0: #74b4f7; --c1: #f0935a; --c2: #4fd1a5; --c3: #cf9bf0; --c4: #e3c04f; --c5: #f58fb6; --c6: #7fd4ee; --c7: #aab4be;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
}
header, main, footer { max-width: 1000px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 36px; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { margin: 44px 0 6px; font-size: 1.2rem; line-height: 1.3; }
h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: 0 0 12px; max-width: 70ch; }
.verdict { margin-top: 12px; font-size: 1.05rem; font-weight: 500; overflow-wrap: anywhere; }
.lead { margin-top: 8px; color: var(--muted); overflow-wrap: anywhere; }
.note { color: var(--muted); font-size: 0.9rem; }
footer { padding-top: 36px; padding-bottom: 36px; color: var(--muted); font-size: 0.85rem; }

table { width: 100%; border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 0 7px 14px; border-bottom: 1px solid var(--rule); text-align: right; vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; text-align: left; overflow-wrap: anywhere; font-weight: 600; }
thead th { color: var(--muted); font-weight: 500; white-space: nowrap; }
td { white-space: nowrap; }
td:first-child, .words td:last-child { white-space: normal; overflow-wrap: anywhere; }
.tag {
  margin-left: 6px; padding: 1px 7px; border: 1px solid var(--rule); border-radius: 9px;
  color: var(--muted); font-size: 0.75rem; font-weight: 500; white-space: nowrap;
}
.error-bar { display: block; color: var(--muted); font-size: 0.8rem; font-weight: 400; }

.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 20px 28px; }
.card { --halo: var(--card); margin: 16px 0 0; padding: 16px 18px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
figure { margin: 0; min-width: 0; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--muted); font-size: 11.5px; font-family: inherit; font-variant-numeric: tabular-nums; }
svg .label { font-size: 12px; }
svg .name { fill: var(--ink); stroke: var(--halo, var(--paper)); stroke-width: 3px; paint-order: stroke; }
.grid { stroke: var(--grid); }
.axis { stroke: var(--muted); }
.bar { fill: var(--fill); }
.bar:hover { fill: var(--accent); }
.dot { fill: var(--accent); }
.error { stroke: var(--accent); stroke-width: 1.5; }
.leader { stroke: var(--muted); stroke-width: 0.75; }
.frontier { fill: none; stroke: var(--fill); stroke-width: 1.5; stroke-dasharray: 4 4; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.dash1 { stroke-dasharray: 6 3; } .dash2 { stroke-dasharray: 2 3; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); }
.c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); } .c6 { stroke: var(--c6); } .c7 { stroke: var(--c7); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 12px; padding: 0; list-style: none; font-size: 0.9rem; }
.legend li { overflow-wrap: anywhere; }
.swatch { display: inline-block; width: 28px; height: 8px; margin-right: 6px; vertical-align: middle; }
.mark { stroke: var(--ink); stroke-width: 1.5; }
.mark.mean { stroke: var(--mean); stroke-dasharray: 5 3; }

details { margin-top: 10px; font-size: 0.9rem; }
summary { color: var(--accent); cursor: pointer; }
summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }

@media (max-width: 720px) {
  header { padding-top: 24px; }
  header, main, footer { padding-left: 16px; padding-right: 16px; }
  .pair { grid-template-columns: minmax(0, 1fr); }
  .card { padding: 14px 12px; }
  svg text, svg .label, svg .name { font-size: 12px; }
  th, td { padding-left: 8px; }
  thead th { white-space: normal; }
  .summary, .summary tbody, .summary tr, .summary td { display: block; }
  .summary thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .summary tr { padding: 12px 0; border-bottom: 1px solid var(--rule); }
  .summary td { display: flex; justify-content: space-between; gap: 16px; padding: 2px 0; border: 0; }
  .summary td:first-child { display: block; padding-bottom: 4px; font-size: 1rem; }
  .summary .error-bar { display: inline; font-size: inherit; }
  .summary td[data-name]::before { content: attr(data-name); color: var(--muted); }
}
@media print { details { display: none; } .card { break-inside: avoid; } }
`;
