import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { strftime } from "../../src/generate/chat/interpreter.js";
import { type Message, renderChat } from "../../src/generate/chat/template.js";
import { refusal } from "../support/build/build.js";

interface Golden {
  readonly cases: readonly {
    readonly name: string;
    readonly template: string;
    readonly outcomes: readonly {
      readonly messages: readonly Message[];
      readonly variables: Readonly<Record<string, unknown>>;
      /** Or where it fails. */
      readonly text?: string;
      readonly line?: number;
      readonly refused?: string;
    }[];
  }[];
}

const golden: Golden = JSON.parse(
  readFileSync(new URL("../golden/generate/jinja.json", import.meta.url), "utf8"),
);
const vocab = { special: { bos: 0, eos: 1 }, tokens: ["<s>", "</s>"] };
const render = (source: string, messages: readonly Message[] = [], variables = {}) =>
  renderChat({ name: "x", source }, vocab, messages, { variables });

describe("templates give Jinja2's text, or fail on its line", () => {
  it.each(golden.cases.map((each) => [each.name, each] as const))("%s", (_, { template, outcomes }) => {
    for (const { messages, variables, text, line, refused } of outcomes) {
      if (text !== undefined) expect(render(template, messages, variables)).toBe(text);
      else {
        const start =
          refused === undefined
            ? `bad-input: x, line ${line}: `
            : `bad-input: x, line ${line} refuses the messages: ${refused}`;
        expect(refusal(() => render(template, messages, variables)).slice(0, start.length)).toBe(start);
      }
    }
  });
});

describe("templates that ask for too much are stopped", () => {
  it.each([
    [
      "{% for i in range(60000) %}{% for i in range(60000) %}{% endfor %}{% endfor %}",
      /line 1: more than 1000000 steps/,
    ],
    [" ".repeat(200_000), /x: 200000 characters; at most 131072/],
    [`a${"\n".repeat(100_000)}`, /x: 4096 characters of white space/],
    ["{% if true %}\n{{ 1 }}", /line 2: it ends too early/],
    ["{%".repeat(60_000), /^bad-input: x: /],
    [`${"{{ a }}".repeat(10_000)}\n{{ ! }}`, /line 2: /],
    ["{{ range(100000000000) }}", /line 1: range of 100000000000 numbers/],
    ["{{ range(1, 2, 0) }}", /range of Infinity numbers/],
    [
      "{% set ns = namespace(a='aa') %}\n{% for i in range(99) %}\n{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
      /line 3: a text of \d+ characters/,
    ],
    [
      "{% set ns = namespace(a=[1,1]) %}\n{% for i in range(99) %}\n{% set ns.a = ns.a + ns.a %}{% endfor %}",
      /line 3: a list of \d+ items/,
    ],
    ["{% macro a() %}{{ a() }}{% endmacro %}\n{{ a() }}", /line 1: /],
    [`\n{{ ${"-".repeat(100_000)} }}`, /line 2: too deep/],
  ])("%#", (template, message) => {
    expect(refusal(() => render(template))).toMatch(message);
  });
});

it("dates are those of the C locale", () => {
  const date = new Date(2026, 10, 3, 0, 5, 9);
  expect(strftime(date, "%d %b %Y|%B %A %a|%H:%M:%S %I %p %y %m %% %Q")).toBe(
    "03 Nov 2026|November Tuesday Tue|00:05:09 12 AM 26 11 % %Q",
  );
  expect(render("{{ strftime_now('%Y') }}")).toBe(String(new Date().getFullYear()));
});

/**
 * Templates of which @huggingface/jinja makes something else than Jinja2, or nothing: it prints numbers, true, none and
 * lists as JavaScript does, lets members of nothing be nothing, counts UTF-16 units, and lacks raw, chained comparisons,
 * sum and the like. Those are tables of many expressions; published templates are like those above.
 */
const OTHERWISE = [
  "{% raw %}{{ x }} {% if %}{% en",
  "{{ 7 // 2 }} {{ 7 / 2 }} {{ 6 ",
  "{{ 1.0 }} {{ 1e20 }} {{ 0.1 + ",
  "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }",
  "{{ [1, 'a', none, true, {'k': ",
  "{{ missing }}|{{ missing is de",
  "{{ missing.deeper }}",
  "{{ 'a' + 1 }}",
  "{% set x = 1 %}{% for i in [1,",
  "{% if messages is iterable and",
  "{{ ' a b ' | trim }}|{{ 'aXb' ",
  "{{ [1, 2, 3] | sum }} {{ [1, 5",
  "{{ messages | map(attribute='r",
  "{{ {'b': [1, 2.0, none], 'a': ",
  "{{ {'b': 1, 'a': 2} | dictsort",
  "{{ 'a,b,,c'.split(',') }} {{ '",
  '{{ "é月🌘" | length }} {{ "🌘a"',
];

describe("templates give transformers' text, or fail where it fails", () => {
  interface Outcome {
    readonly text?: string;
    /** What raise_exception was given; true for what Jinja or Python refuses. */
    readonly error?: string | true;
  }
  interface Kind {
    readonly name: string;
    readonly template: string;
    readonly bos_token?: string;
    readonly eos_token?: string;
    readonly cases: Readonly<Record<string, Outcome>>;
  }
  interface Conversation extends Readonly<Record<string, unknown>> {
    readonly messages: readonly Message[];
    readonly add_generation_prompt?: boolean;
  }
  const path = new URL("../golden/generate/templates.json", import.meta.url);
  const { conversations, languageMessages, kinds, language } = JSON.parse(readFileSync(path, "utf8")) as {
    readonly conversations: Readonly<Record<string, Conversation>>;
    readonly languageMessages: readonly Message[];
    readonly kinds: readonly Kind[];
    readonly language: readonly (Outcome & { readonly template: string })[];
  };
  const outcome = (
    kind: Omit<Kind, "name" | "cases">,
    messages: readonly Message[],
    options = {},
  ): Outcome => {
    const tokens = [kind.bos_token ?? "", kind.eos_token ?? ""];
    const template = { name: "x", source: kind.template };
    try {
      return { text: renderChat(template, { special: { bos: 0, eos: 1 }, tokens }, messages, options) };
    } catch (error) {
      return { error: /refuses the messages: (.*)/s.exec((error as Error).message)?.[1] ?? true };
    }
  };
  it.each(kinds)("$name", (kind) => {
    for (const [name, expected] of Object.entries(kind.cases)) {
      if (name === "parts") continue; // contents here are text
      const { messages, add_generation_prompt, ...variables } = conversations[name]!;
      const options = { addGenerationPrompt: add_generation_prompt, variables };
      expect(outcome(kind, messages, options), name).toEqual(expected);
    }
  });
  it("the language, but for what @huggingface/jinja does otherwise", () => {
    const others = language.filter(({ template, text, error }) => {
      const ours = outcome({ template }, languageMessages);
      return ours.text !== text || ours.error !== error;
    });
    expect(others.map(({ template }) => template.slice(0, 30))).toEqual(OTHERWISE);
  });
});
