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

/** The first 16 bytes of the plane with the lower bits of step `i` of the group at `p`; `before` are those of the last step. */
export function low_bits0<K>(p: usize, i: i32, before: v128): v128 {
  return begins_plane<K>(i) ? v128.load(p + plane_of<K>(i)) : before;
}

/** The other 16 bytes. */
export function low_bits1<K>(p: usize, i: i32, before: v128): v128 {
  return begins_plane<K>(i) ? v128.load(p + plane_of<K>(i), 16) : before;
}

/** Whether a plane begins with step `i`. */
function begins_plane<K>(i: i32): bool {
  if (i === 0 || idof<K>() === idof<Q8>()) return true;
  if (idof<K>() === idof<Q2>() || idof<K>() === idof<Trits>() || idof<K>() === idof<Q3>()) return false;
  return i === 2;
}

function plane_of<K>(i: i32): usize {
  return (idof<K>() === idof<Q8>() ? i : i >> 1) * 32;
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

// The same by pairs of steps, which eight/tile.ts takes: `half` is 0 for the first pair of a group and 2 for the second, and `i` of
// quants is 0 and 1.

/** Where the lower bits of a pair of the group at `p` are. */
export function pair_plane<K>(p: usize, half: i32): usize {
  if (idof<K>() === idof<Q2>() || idof<K>() === idof<Trits>() || idof<K>() === idof<Q3>()) return p;
  return p + half * (idof<K>() === idof<Q8>() ? 32 : 16);
}

/** The lower bits of a pair, moved to where those of steps 0 and 1 are. */
export function pair_low<K>(plane: v128, half: i32): v128 {
  if (idof<K>() === idof<Q2>() || idof<K>() === idof<Trits>() || idof<K>() === idof<Q3>())
    return i16x8.shr_u(plane, 2 * half);
  return plane;
}

/** The upper bits likewise; `shift` is that of move_high. */
export function pair_high<K>(plane: v128, shift: i32, half: i32): v128 {
  return i16x8.shr_u(plane, idof<K>() === idof<Q6>() ? 2 * half : shift + half);
}

/** What quants masks lower bits with, for the caller to load before its loops: V8 makes constants anew at each use. */
export function low_mask<K>(): v128 {
  if (idof<K>() === idof<Q8>()) return v128.load32_splat(MASKS);
  if (idof<K>() === idof<Q2>() || idof<K>() === idof<Trits>() || idof<K>() === idof<Q3>())
    return v128.load32_splat(MASKS, 4);
  return v128.load32_splat(MASKS, 8);
}

/** What it masks upper bits with, or takes levels from. */
export function high_mask<K>(): v128 {
  if (idof<K>() === idof<Q3>()) return v128.load32_splat(MASKS, 12);
  if (idof<K>() === idof<Q5>()) return v128.load32_splat(MASKS, 16);
  if (idof<K>() === idof<Q6>()) return v128.load32_splat(MASKS, 20);
  return v128.load(idof<K>() === idof<Mxfp4>() ? MXFP4_LEVELS : IQ4_LEVELS);
}

const MASKS: usize = memory.data<u32>([
  0x80808080, 0x03030303, 0x0f0f0f0f, 0x04040404, 0x10101010, 0x30303030,
]);
const IQ4_LEVELS: usize = memory.data<u8>(
  [1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241],
  16,
);
const MXFP4_LEVELS: usize = memory.data<u8>(
  [16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4],
  16,
);

/** Half of step `i` of four, as unsigned bytes: quants, or levels plus what makes them so. */
export function quants<K>(low: v128, high: v128, i: i32, mask: v128, mask2: v128): v128 {
  if (idof<K>() === idof<Q8>()) return v128.xor(low, mask);
  if (idof<K>() === idof<Q2>() || idof<K>() === idof<Trits>() || idof<K>() === idof<Q3>()) {
    const two = v128.and(i === 0 ? low : i16x8.shr_u(low, 2 * i), mask);
    if (idof<K>() !== idof<Q3>()) return two;
    return v128.or(two, v128.and(i === 3 ? i16x8.shr_u(high, 1) : i16x8.shl(high, 2 - i), mask2));
  }
  const four = v128.and((i & 1) === 0 ? low : i16x8.shr_u(low, 4), mask);
  if (idof<K>() === idof<Q5>()) return v128.or(four, v128.and(i16x8.shl(high, 4 - i), mask2));
  if (idof<K>() === idof<Q6>())
    return v128.or(four, v128.and(i === 3 ? i16x8.shr_u(high, 2) : i16x8.shl(high, 4 - 2 * i), mask2));
  // For 0..15 relaxed swizzles are exact.
  if (idof<K>() === idof<Iq4>() || idof<K>() === idof<Mxfp4>())
    return DOT === 0 ? i8x16.swizzle(mask2, four) : i8x16.relaxed_swizzle(mask2, four);
  return four;
}
