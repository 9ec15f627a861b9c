/** Longest label of a chart; longer ones lose their middle. */
const MAX_LABEL = 22;

/** Names of files that tell them apart: the last parts of their paths, as few as do. */
export function distinctNames(paths: readonly string[]): string[] {
  const parts = paths.map((path) => path.split("/").filter((part) => part !== "" && part !== "."));
  const name = (i: number, count: number) => parts[i]!.slice(-count).join("/") || paths[i]!;
  return paths.map((path, i) => {
    for (let count = 1; count <= parts[i]!.length; count++) {
      const own = name(i, count);
      if (paths.every((other, j) => other === path || name(j, count) !== own)) return own;
    }
    return name(i, parts[i]!.length);
  });
}

/** Labels for charts: without the ending and what all of them begin with, up to a hyphen or a dot. */
export function shortLabels(names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const stems = names.map((name) => name.replace(/\.(gguf|safetensors)$/, ""));
  let common = 0;
  while (
    stems.length > 1 &&
    stems.every((stem) => stem[common] !== undefined && stem[common] === stems[0]![common])
  )
    common++;
  const cut = stems[0]!.slice(0, common).search(/[^-.]*$/);
  return stems.map((stem) => {
    const label = stem.slice(cut) || stem;
    if (stems.length === 1) return shorten(stem);
    return shorten(label);
  });
}

function shorten(text: string): string {
  const letters = [...text];
  if (letters.length <= MAX_LABEL) return text;
  const half = Math.floor((MAX_LABEL - 1) / 2);
  return `${letters.slice(0, half).join("")}…${letters.slice(-half).join("")}`;
}
