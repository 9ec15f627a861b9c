/**
 * `a`, or in the chosen lanes `b`. Uses `a` twice: what is used once may be loaded as late as there, behind the upper
 * vector of its pair, and then V8 makes a wrong address.
 */
export function choose(a: v128, b: v128, chosen: v128): v128 {
  return v128.xor(a, v128.and(v128.xor(a, b), chosen));
}
