import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { COMMANDS } from "../../../src/commands/index.js";
import { COMMANDS_PAGE, commandsPage, optionsOf } from "../../commands-page.js";

const page = readFileSync(COMMANDS_PAGE, "utf8");

test("docs/commands.md is what the commands take (npm run readme)", async () => {
  expect(page).toBe(await commandsPage());
});

describe("every option has a line that says what it is", () => {
  const sections = new Map(
    page
      .split(/^## llq /m)
      .slice(1)
      .map((text) => [text.split("\n")[0]!, text]),
  );

  test.each(Object.entries(COMMANDS))("%s", async (name, load) => {
    const command = await load();
    const lines = sections.get(name)?.split("\n") ?? [];
    for (const { flags, long, description } of optionsOf(command)) {
      expect({ flags, said: description.trim().length > 3 }).toEqual({ flags, said: true });
      const line = lines.find((each) => new RegExp(`^\\| \`[^\`]*${long}(?![\\w-])`).test(each));
      expect({ flags, line: line !== undefined && line.split(" | ")[1]!.trim().length > 3 }).toEqual({
        flags,
        line: true,
      });
    }
    for (const argument of command.registeredArguments) {
      expect({ argument: argument.name(), said: argument.description.trim().length > 3 }).toEqual({
        argument: argument.name(),
        said: true,
      });
    }
  });
});

test("README names every command", () => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  for (const name of Object.keys(COMMANDS))
    expect(readme).toMatch(new RegExp(`llq ${name}\\b|\`${name}[ \`]`));
  expect(readme).toContain("(docs/commands.md)");
});
