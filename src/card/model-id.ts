/** What the parts of a model's name say, by the conventions that llama.cpp's converter knows. */
export interface ModelId {
  readonly name: string;
  readonly organization?: string | undefined;
  readonly basename?: string | undefined;
  readonly finetune?: string | undefined;
  readonly version?: string | undefined;
  readonly sizeLabel?: string | undefined;
}

type Kind = "basename" | "size" | "finetune" | "version" | "type";

interface Part {
  text: string;
  readonly kinds: Set<Kind>;
}

const VERSION = /^(v|iter)?\d+([.]\d+)*$/i;
const TYPE = /^(i?q\d(_\w)*|b?fp?(16|32))$/i;
const SIZE = /^((a|\d+x)?\d+([._]\d+)?[kmbt]\d?|small|mini|medium|large|x?xl)$/i;
const FINETUNE = /^(chat|instruct|vision|lora)$/i;

/** Takes a name such as `meta-llama/Llama-3.2-1B-Instruct` apart. @param weights of the model; 0 when unknown */
export function parseModelId(id: string, weights: number): ModelId {
  if (id.includes(" ")) return { name: id };
  const slash = id.indexOf("/");
  const owner = slash < 0 ? undefined : id.slice(0, slash);
  const name = id.slice(slash + 1);
  const organization = owner?.startsWith(".") ? undefined : owner;
  const parts = name
    .split("-")
    .filter(Boolean)
    .map((text, i) => classified(text, i, weights));
  const sizes = parts.filter(({ kinds }) => kinds.has("size"));
  // Sizes in words say nothing beside one in numbers.
  if (sizes.some(({ text }) => /\d/.test(text))) {
    for (const { text, kinds } of sizes) if (/^\p{L}+$/u.test(text)) kinds.delete("size");
  }
  let atStart = true;
  for (const { text, kinds } of parts) {
    if (atStart && ((kinds.size === 0 && /^\p{L}/u.test(text)) || kinds.has("version")))
      kinds.add("basename");
    else {
      atStart = false;
      if (kinds.size === 0) kinds.add("finetune");
    }
  }
  for (const { kinds } of parts.toReversed()) {
    if (!kinds.has("basename") || kinds.size === 1) break;
    kinds.delete("basename");
  }
  const joined = (kind: Kind, but?: Kind) => {
    const texts = parts
      .filter(({ kinds }) => kinds.has(kind) && !(but && kinds.has(but)))
      .map(({ text }) => text);
    return (kind === "size" ? [...new Set(texts)] : texts).join("-") || undefined;
  };
  const [sizeLabel, finetune, version] = [joined("size"), joined("finetune"), joined("version", "basename")];
  const isClear = sizeLabel !== undefined || finetune !== undefined || version !== undefined;
  return {
    name,
    organization,
    basename: isClear ? joined("basename") : undefined,
    finetune,
    version,
    sizeLabel,
  };
}

function classified(text: string, index: number, weights: number): Part {
  const kinds = new Set<Kind>();
  if (VERSION.test(text)) return { text, kinds: kinds.add("version") };
  if (TYPE.test(text)) return { text: text.toUpperCase(), kinds: kinds.add("type") };
  if (index > 0 && SIZE.test(text)) return sized(text, weights);
  if (index > 0 && FINETUNE.test(text)) kinds.add("finetune");
  return { text, kinds };
}

/** A size, or, when it is far from the model's own, the length of a context. */
function sized(text: string, weights: number): Part {
  let part = text.replaceAll("_", ".");
  if (/\d$/.test(part)) part = `${part.slice(0, -2)}.${part.at(-1)}${part.at(-2)}`; // bloom-7b1
  if (/\d[kmbt]$/.test(part)) part = part.slice(0, -1) + part.at(-1)!.toUpperCase();
  const size = Number(part.slice(0, -1)) * 1000 ** " KMBT".indexOf(part.at(-1)!);
  if (weights > 0 && Math.abs(size - weights) > Math.floor((7 * weights) / 8)) {
    return { text: part.slice(0, -1) + part.at(-1)!.toLowerCase(), kinds: new Set<Kind>(["finetune"]) };
  }
  return { text: part, kinds: new Set<Kind>(["size"]) };
}

/** Words in capitals, but for versions and what has capitals already. */
export function titleOf(id: string): string {
  const words = id.trim().replaceAll("-", " ").split(/\s+/).filter(Boolean);
  return words
    .map((word) => (isLower(word) && !/^(v\d+(\.\d+)*|\d.*)$/.test(word) ? title(word) : word))
    .join(" ");
}

function isLower(word: string): boolean {
  return word === word.toLowerCase() && word !== word.toUpperCase();
}

/** As Python's str.title: a letter behind none is a capital. */
function title(word: string): string {
  return word.replace(/\p{L}+/gu, (run) => run[0]!.toUpperCase() + run.slice(1));
}

/** Weights in two digits at least, as leader boards have them; of a mixture, experts and what one token sees. */
export function sizeLabel(
  shapes: readonly { readonly name: string; readonly shape: readonly number[] }[],
): string {
  let [total, shared, expert, experts, stacks] = [0, 0, 0, 0, 0];
  for (const { name, shape } of shapes) {
    const size = shape.reduce((product, length) => product * length, 1);
    total += size;
    if (name.includes("_exps.")) {
      expert += Math.floor(size / shape.at(-3)!);
      experts += shape.at(-3)!;
      stacks++;
    } else shared += size;
  }
  if (stacks === 0) return rounded(total);
  return `${Math.floor(experts / stacks)}x${rounded(shared + expert)}`;
}

function rounded(count: number): string {
  const [unit, suffix] =
    count > 1e12 ? [1e-12, "T"] : count > 1e9 ? [1e-9, "B"] : count > 1e6 ? [1e-6, "M"] : [1e-3, "K"];
  const scaled = count * (unit as number);
  const digits = String(Math.round(scaled)).replace(/^0+/, "").length;
  return `${scaled.toFixed(Math.max(2 - digits, 0))}${suffix}`;
}
