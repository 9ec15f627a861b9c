/** Whether two values of plain data are the same: objects, arrays, typed arrays, maps and what has no parts. */
export function isDeepStrictEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Map) {
    const other = b as Map<unknown, unknown>;
    return (
      a.size === other.size && [...a].every(([k, v]) => other.has(k) && isDeepStrictEqual(v, other.get(k)))
    );
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  const [one, two] = [a, b] as Record<string, unknown>[];
  return keys.every((key) => Object.hasOwn(two!, key) && isDeepStrictEqual(one![key], two![key]));
}
