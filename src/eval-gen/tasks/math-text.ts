// Answers of MATH as its authors compare them (Hendrycks et al., 2021), and lm-evaluation-harness' hendrycks_math after them.

/** What stands in the last \boxed of a solution; undefined where there is none. */
export function lastBoxed(text: string): string | undefined {
  const spaced = text.lastIndexOf("\\boxed ");
  if (spaced >= 0) return text.slice(spaced + "\\boxed ".length).split("$")[0]!;
  const start = text.lastIndexOf("\\boxed{");
  if (start < 0) return undefined;
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === "{") depth++;
    if (text[i] === "}" && --depth === 0) return text.slice(start + "\\boxed{".length, i);
  }
  return undefined;
}

/** Whether two answers are written the same, but for what LaTeX lets one write otherwise. */
export function isEquivalent(a: string, b: string): boolean {
  const [one, other] = [normalized(a), normalized(b)];
  // what the rules cannot read is compared as it stands
  return one === undefined || other === undefined ? a === b : one === other;
}

/** undefined for what the rules are not made for, where the authors' program fails. */
function normalized(answer: string): string | undefined {
  let text = answer
    .replaceAll("\n", "")
    .replaceAll("\\!", "")
    .replaceAll("\\\\", "\\")
    .replace(/[td]frac/g, "frac")
    .replaceAll("\\left", "")
    .replaceAll("\\right", "")
    .replaceAll("^{\\circ}", "")
    .replaceAll("^\\circ", "")
    .replaceAll("\\$", "");
  const units = text.split("\\text{ ");
  if (units.length > 2) return undefined;
  text = units[0]!.replaceAll("\\%", "").replaceAll(" .", " 0.").replaceAll("{.", "{0.");
  if (text === "") return text;
  if (text.startsWith(".")) text = `0${text}`;
  const sides = text.split("=");
  if (sides.length === 2 && [...sides[0]!].length <= 2) text = sides[1]!;
  return withRoots(text, (rooted) => {
    const fractions = withFractions(rooted.replaceAll(" ", ""));
    return fractions && withSlash(fractions === "0.5" ? "\\frac{1}{2}" : fractions);
  });
}

/** \sqrt3 is \sqrt{3}. */
function withRoots(text: string, next: (text: string) => string | undefined): string | undefined {
  const [head, ...parts] = text.split("\\sqrt");
  if (parts.includes("")) return undefined;
  const braced = parts.map((part) => (part.startsWith("{") ? part : `{${part[0]}}${part.slice(1)}`));
  return next([head, ...braced].join("\\sqrt"));
}

/** \frac12 is \frac{1}{2}, and \frac1{72} is \frac{1}{72}. */
function withFractions(text: string): string | undefined {
  const [head, ...parts] = text.split("\\frac");
  const braced: string[] = [];
  for (const part of parts) {
    if (part === "") return undefined;
    if (part.startsWith("{")) {
      braced.push(part);
      continue;
    }
    if (part.length < 2) return text;
    const [over, under] = [part[0]!, part[1]!];
    braced.push(under === "{" ? `{${over}}${part.slice(1)}` : `{${over}}{${under}}${part.slice(2)}`);
  }
  return [head, ...braced].join("\\frac");
}

/** 1/2 is \frac{1}{2}, of whole numbers. */
function withSlash(text: string): string | undefined {
  const parts = text.split("/");
  if (parts.length !== 2) return text;
  if (!parts.every((part) => /^[+-]?\d+(_\d+)*$/.test(part))) return undefined;
  const [over, under] = parts.map((part) => BigInt(part.replace(/[+_]/g, "")));
  return text === `${over}/${under}` ? `\\frac{${over}}{${under}}` : text;
}
