// A checksum of bytes on their way to a disk and back. Two vectors at a time are multiplied with each other, each under a
// key that changes with its place, as XXH3 does with words, and are added up beside that, since a factor may be zero.

/** Bytes taken at a time. */
const STRIPE: i32 = 32;
/** What is kept between calls: the key, sums of the products, sums of the vectors. */
export const CHECKSUM_STATE: i32 = 80;

/** An odd number whose bits are spread: 2^64 by the golden ratio. */
const MIXER: u64 = ((<u64>0x9e3779b9) << 32) | 0x7f4a7c15;

const LAST: usize = memory.data(32, 16);

/**
 * Goes on with the `n` bytes at `x`, where `state` is what was kept of those before, at first zeros. Only the last may be
 * another number than a multiple of 32.
 */
export function checksum(x: usize, n: i32, state: usize): void {
  const whole = n - (n % STRIPE);
  add_stripes(x, whole, state);
  if (whole === n) return;
  memory.fill(LAST, 0, STRIPE);
  memory.copy(LAST, x + whole, n - whole);
  add_stripes(LAST, STRIPE, state);
}

/** Of all `n` bytes that the state is of, in 32 bits. */
export function checksum_end(n: f64, state: usize): u32 {
  let hash = <u64>n;
  for (let at: usize = 0; at < <usize>CHECKSUM_STATE; at += 8) {
    hash = (hash ^ load<u64>(state + at)) * MIXER;
    hash ^= hash >> 32;
  }
  return <u32>hash;
}

function add_stripes(x: usize, n: i32, state: usize): void {
  const step = i32x4(0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f);
  let key = v128.load(state);
  let low = v128.load(state, 16);
  let high = v128.load(state, 32);
  let first = v128.load(state, 48);
  let second = v128.load(state, 64);
  for (const end = x + <usize>n; x < end; x += <usize>STRIPE) {
    const a = v128.load(x);
    const b = v128.load(x, 16);
    key = i32x4.add(key, step);
    const p = v128.xor(a, key);
    const q = i32x4.sub(b, key);
    low = i64x2.add(low, i64x2.extmul_low_i32x4_u(p, q));
    high = i64x2.add(high, i64x2.extmul_high_i32x4_u(p, q));
    first = i64x2.add(first, a);
    second = i64x2.add(second, b);
  }
  v128.store(state, key);
  v128.store(state, low, 16);
  v128.store(state, high, 32);
  v128.store(state, first, 48);
  v128.store(state, second, 64);
}
