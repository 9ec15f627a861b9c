import { t } from "../../language/t.js";
import { Environment, Interpreter, type Value } from "./jinja.js";
import { AT_LINE, messageOf, parseTemplate } from "./lines.js";

/** Several times the longest published. */
const MAX_TEMPLATE = 1 << 17;
/** The package takes the square of its length to get over it. */
const MAX_WHITE_SPACE = /\s{4096}/;
/** Far more than any template needs for a conversation that fits a model. */
const MAX_STEPS = 1_000_000;
const MAX_RANGE = 1 << 16;
const MAX_ITEMS = 1 << 20;
const MAX_CHARACTERS = 1 << 26;

/** What is wrong with a template or with what it was given. */
export class TemplateError extends Error {
  readonly line: number | undefined;
  /** The template itself has refused what it was given. */
  readonly isRefusal: boolean;

  constructor(message: string, line: number | undefined, isRefusal = false) {
    super(message);
    this.line = line;
    this.isRefusal = isRefusal;
  }
}

class Refusal extends Error {}

/**
 * Text of a Jinja template, in the environment that transformers gives to chat templates. A template is as hostile as the
 * file it comes from: its steps and the sizes of its values are counted.
 * @throws TemplateError
 */
export function renderTemplate(template: string, variables: Readonly<Record<string, unknown>>): string {
  if (template.length > MAX_TEMPLATE)
    throw new TemplateError(t`${template.length} characters; at most ${MAX_TEMPLATE} are read`, undefined);
  if (MAX_WHITE_SPACE.test(template)) throw new TemplateError(t`4096 characters of white space`, undefined);
  const parsed = parseTemplate(template);
  if ("error" in parsed) throw new TemplateError(parsed.error, parsed.line);
  let line: number | undefined;
  const atLine = (at: number) => {
    line = at;
    return "";
  };
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...GLOBALS, ...variables, [AT_LINE]: atLine })) {
    environment.set(name, value);
  }
  try {
    return String(new BoundedInterpreter(environment).run(parsed.program).value);
  } catch (cause) {
    throw new TemplateError(messageOf(cause), line, cause instanceof Refusal);
  }
}

class BoundedInterpreter extends Interpreter {
  #steps = 0;

  override evaluate(...[node, environment]: Parameters<InstanceType<typeof Interpreter>["evaluate"]>): Value {
    if (++this.#steps > MAX_STEPS) throw new Error(`more than ${MAX_STEPS} steps`);
    const result = super.evaluate(node, environment);
    const { value } = result;
    if (typeof value === "string" && value.length > MAX_CHARACTERS)
      throw new Error(`a text of ${value.length} characters`);
    if (Array.isArray(value) && value.length > MAX_ITEMS) throw new Error(`a list of ${value.length} items`);
    const side = result.type === "FunctionValue" && strippedSide(node);
    return side ? this.#strip(side, super.evaluate(side.object, environment), result) : result;
  }

  /** Python's strip takes the characters that go; the package's takes none. */
  #strip({ start, end }: StrippedSide, text: Value, strip: Value): Value {
    if (typeof text.value !== "string") return strip;
    const whole = text.value;
    const [TextValue, FunctionValue] = [text.constructor, strip.constructor] as [ValueClass, ValueClass];
    const call = strip.value as (args: readonly Value[], scope: unknown) => Value;
    return new FunctionValue((args: readonly Value[], scope: unknown) => {
      const going = args[0]?.value;
      if (typeof going !== "string") return call(args, scope);
      let [from, to] = [0, whole.length];
      while (start && from < to && going.includes(whole[from]!)) from++;
      while (end && to > from && going.includes(whole[to - 1]!)) to--;
      return new TextValue(whole.slice(from, to));
    });
  }
}

type ValueClass = new (value: unknown) => Value;

interface StrippedSide {
  readonly object: unknown;
  readonly start: boolean;
  readonly end: boolean;
}

/** Of a part of the program that names the method: the text it is of, and at which ends it takes away. */
function strippedSide(node: unknown): StrippedSide | undefined {
  const { object, property } = node as { object?: unknown; property?: { value?: unknown } };
  const name = object === undefined ? undefined : property?.value;
  if (name !== "strip" && name !== "lstrip" && name !== "rstrip") return undefined;
  return { object, start: name !== "rstrip", end: name !== "lstrip" };
}

const GLOBALS = {
  ...{ true: true, True: true, false: false, False: false, none: null, None: null },
  raise_exception: (message: unknown) => {
    throw new Refusal(String(message));
  },
  range(start: number, stop?: number, step = 1): number[] {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    const count = Math.max(0, Math.ceil((to - from) / step));
    if (!(count <= MAX_RANGE)) throw new Error(`range of ${count} numbers`);
    return Array.from({ length: count }, (_, i) => from + i * step);
  },
  strftime_now: (format: string) => strftime(new Date(), format),
};

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
// biome-ignore format: one line
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/** Local time in the C locale, wherever it runs; directives that are not known stay as they are. */
export function strftime(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const [day, month, hours] = [DAYS[date.getDay()]!, MONTHS[date.getMonth()]!, date.getHours()];
  const parts: Readonly<Record<string, string>> = {
    "%": "%",
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    B: month,
    b: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    H: two(hours),
    I: two(hours % 12 || 12),
    p: hours < 12 ? "AM" : "PM",
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
  };
  return format.replace(/%([%YymdBbAaHIpMS])/g, (_, letter: string) => parts[letter]!);
}
