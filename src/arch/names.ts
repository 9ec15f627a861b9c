/** A tensor's name with the new number of its layer; undefined when that is gone. */
export function renumbered(name: string, places: ReadonlyMap<number, number>): string | undefined {
  const [prefix, layer] = /^blk\.(\d+)\./.exec(name) ?? [];
  if (prefix === undefined) return name;
  const place = places.get(Number(layer));
  return place === undefined ? undefined : `blk.${place}.${name.slice(prefix.length)}`;
}

/** A pattern with 0, 1 and so on in the place of what it counts: layers or experts. */
export function numbered(pattern: string, index: "{i}" | "{e}", count: number): string[] {
  return Array.from({ length: count }, (_, i) => pattern.replace(index, String(i)));
}
