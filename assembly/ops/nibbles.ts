// Weights that checkpoints pack in numbers of 4 bits.

/**
 * x = scale × (q - zero), each `group` of the `n` numbers with a scale and a zero of its own, both f32: numbers of 4 bits at
 * `q`, in order, the low half of a byte first. `group` is a multiple of 32, and divides n.
 */
export function scale_nibbles(q: usize, x: usize, n: i32, group: i32, scales: usize, zeros: usize): void {
  const end = x + <usize>n * 4;
  while (x < end) {
    const scale = v128.load32_splat(scales);
    const zero = v128.load32_splat(zeros);
    for (const stop = x + <usize>group * 4; x < stop; q += 16, x += 128) {
      const bytes = v128.load(q);
      const low = v128.and(bytes, i8x16.splat(15));
      const high = i8x16.shr_u(bytes, 4);
      const first = i8x16.shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const second = i8x16.shuffle(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      scale_bytes(first, x, scale, zero);
      scale_bytes(second, x + 64, scale, zero);
    }
    scales += 4;
    zeros += 4;
  }
}

function scale_bytes(bytes: v128, x: usize, scale: v128, zero: v128): void {
  const low = i16x8.extend_low_i8x16_u(bytes);
  const high = i16x8.extend_high_i8x16_u(bytes);
  scale_four(i32x4.extend_low_i16x8_u(low), x, scale, zero);
  scale_four(i32x4.extend_high_i16x8_u(low), x + 16, scale, zero);
  scale_four(i32x4.extend_low_i16x8_u(high), x + 32, scale, zero);
  scale_four(i32x4.extend_high_i16x8_u(high), x + 48, scale, zero);
}

function scale_four(q: v128, x: usize, scale: v128, zero: v128): void {
  v128.store(x, f32x4.mul(scale, f32x4.sub(f32x4.convert_i32x4_u(q), zero)));
}
