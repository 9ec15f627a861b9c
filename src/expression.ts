/**
 * A regular expression of a configuration, whose time is bounded by the length of a name: no group is repeated, and few
 * characters are. `anchored` puts it between what it must begin and end with. Undefined for others.
 */
export function boundedExpression(source: string, anchored: (source: string) => string): RegExp | undefined {
  const isPlain = /^[\w.\-\\^$|()[\]*+?:]*$/.test(source) && !/\)[*+?]|\\[^.\-dDwW]|\(\?(?!:)/.test(source);
  const repeated = source.match(/(?<!\()[*+?]/g)?.length ?? 0;
  if (!isPlain || repeated > 3) return undefined;
  try {
    return new RegExp(anchored(source));
  } catch {
    return undefined; // not an expression at all
  }
}
