// usage: npm run readme
// Writes the parts of README.md that are made of the program's own tables, docs/json.md and docs/commands.md.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Architecture } from "../src/arch/architecture.js";
import { ARCHITECTURES } from "../src/arch/index.js";
import { COMMANDS_PAGE, commandsPage } from "./commands-page.js";
import { JSON_PAGE, jsonPage } from "./json-page.js";

export const README = fileURLToPath(new URL("../../README.md", import.meta.url));
const START = "<!-- models: npm run readme -->\n";
const END = "<!-- end of models -->\n";

/** A row for each family: what it covers, the year of the newest if it is 2025 or later, and its names in config.json and in GGUF. */
function modelTable(architectures: readonly Architecture[]): string {
  const rows = architectures.map(({ covers, year = "", classes, name }) => {
    const code = classes.map((each) => `\`${each}\``).join(", ");
    return `| ${covers.join(", ")} | ${year} | ${code} | \`${name}\` |\n`;
  });
  return `| models | newest of | \`architectures\` in config.json | in GGUF |\n| --- | --- | --- | --- |\n${rows.join("")}`;
}

/** The README with its table as the registry has it. */
export function withModels(text: string, architectures: readonly Architecture[] = ARCHITECTURES): string {
  const start = text.indexOf(START) + START.length;
  const end = text.indexOf(END);
  if (start < START.length || end < start) throw new Error(`README.md: no ${START.trim()} … ${END.trim()}`);
  return text.slice(0, start) + modelTable(architectures) + text.slice(end);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(README, withModels(readFileSync(README, "utf8")));
  writeFileSync(JSON_PAGE, jsonPage());
  writeFileSync(COMMANDS_PAGE, await commandsPage());
}
