import { formatTable } from "../../src/ui.js";

/** Columns of numbers to the right, on standard output. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(formatTable(header, rows).join("\n"));
}
