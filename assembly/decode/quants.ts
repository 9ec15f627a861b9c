// How quants are stored in the planes of lean weights, and how a step of them (8 rows × 4 columns, 32 bytes) is taken
// out. What is done to the step's first and second 16 bytes is the same, so that V8 can do it to both at once.

/** The ways to store quants. Tags for generic functions. */
export class Q2 {}
/** The same, for weights without scales but d. */
export class Trits {}
export class Q3 {}
export class Q4 {}
export class Q5 {}
export class Q6 {}
export class Q8 {}
/** Numbers of levels: of IQ4_NL and IQ4_XS, of MXFP4. */
export class Iq4 {}
export class Mxfp4 {}

/** Bytes of 16 columns, without what 32 have in common. */
export function group_size<K>(): usize {
  if (idof<K>() === idof<Q8>()) return 128;
  if (idof<K>() === idof<Q6>()) return 96;
  return idof<K>() === idof<Q2>() || idof<K>() === idof<Trits>() || idof<K>() === idof<Q3>() ? 32 : 64;
}

/** Bytes of 32 columns. */
export function span_size<K>(): usize {
  return idof<K>() === idof<Q5>() || idof<K>() === idof<Q3>()
    ? 2 * group_size<K>() + 32
    : 2 * group_size<K>();
}

/** Where the lower bits of step `i` of the group at `p` are. */
export function low_plane<K>(p: usize, i: i32): usize {
  if (idof<K>() === idof<Q2>() || idof<K>() === idof<Trits>() || idof<K>() === idof<Q3>()) return p;
  return p + (idof<K>() === idof<Q8>() ? i : i >> 1) * 32;
}

/** Whether bits of a quant are in a plane of their own. */
export function has_high_plane<K>(): bool {
  return idof<K>() === idof<Q3>() || idof<K>() === idof<Q5>() || idof<K>() === idof<Q6>();
}

/** Where the upper bits of the group at `p`, in the span at `span`, are: those of its steps from bit 0 on, once moved. */
export function high_plane<K>(p: usize, span: usize): usize {
  return idof<K>() === idof<Q6>() ? p + 64 : span + 2 * group_size<K>();
}

/** The upper bits of the first group (`shift` 0) or the second (4) of a span. */
export function move_high<K>(plane: v128, shift: i32): v128 {
  return idof<K>() === idof<Q6>() ? plane : i16x8.shr_u(plane, shift);
}

/** Half of step `i` of four, as unsigned bytes: quants, or levels plus what makes them so. */
export function quants<K>(low: v128, high: v128, i: i32): v128 {
  if (idof<K>() === idof<Q8>()) return v128.xor(low, i8x16.splat(-128));
  if (idof<K>() === idof<Q2>() || idof<K>() === idof<Trits>() || idof<K>() === idof<Q3>()) {
    const two = v128.and(i === 0 ? low : i16x8.shr_u(low, 2 * i), i8x16.splat(3));
    if (idof<K>() !== idof<Q3>()) return two;
    return v128.or(two, v128.and(i === 3 ? i16x8.shr_u(high, 1) : i16x8.shl(high, 2 - i), i8x16.splat(4)));
  }
  const four = v128.and((i & 1) === 0 ? low : i16x8.shr_u(low, 4), i8x16.splat(15));
  if (idof<K>() === idof<Q5>()) return v128.or(four, v128.and(i16x8.shl(high, 4 - i), i8x16.splat(16)));
  if (idof<K>() === idof<Q6>()) {
    return v128.or(
      four,
      v128.and(i === 3 ? i16x8.shr_u(high, 2) : i16x8.shl(high, 4 - 2 * i), i8x16.splat(48)),
    );
  }
  if (idof<K>() === idof<Iq4>() || idof<K>() === idof<Mxfp4>()) return look_up(levels<K>(), four);
  return four;
}

/** The levels that four bits number. */
export function levels<K>(): v128 {
  if (idof<K>() === idof<Mxfp4>())
    return i8x16(16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4);
  return i8x16(1, 24, 45, 63, 79, 93, 106, 118, -127, -115, -103, -90, -75, -59, -39, -15);
}

/** For `index` in 0..15 relaxed swizzles are exact. */
function look_up(table: v128, index: v128): v128 {
  return DOT === 0 ? i8x16.swizzle(table, index) : i8x16.relaxed_swizzle(table, index);
}
