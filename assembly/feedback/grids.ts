// The grid of a row that is quantized: for each column scale s and offset o, so that its weight is s · q - o, or s · LEVEL[q]
// in IQ4. s and o [n] f32. See assembly/blocks for the layouts.
import { load_scales } from "../blocks/k/q3_k";
import { SUB_D, SUB_M, unpack_scales_mins } from "../blocks/k/superblock";
import { store_scaled } from "../blocks/pack";
import { f16_to_f32 } from "../numbers/f16";

/** `columns` columns of one scale and one offset. */
function fill(s: usize, o: usize, columns: usize, scale: f32, offset: f32): void {
  for (const end = s + columns * 4; s < end; s += 16, o += 16) {
    v128.store(s, f32x4.splat(scale));
    v128.store(o, f32x4.splat(offset));
  }
}

/** SUB_D and SUB_M for a super-block of sub-blocks of `n`. */
function fill_sub_blocks(s: usize, o: usize, n: usize, has_mins: bool): void {
  for (let j: usize = 0, i: usize = 0; i < 1024; j += 4, i += n * 4) {
    fill(s + i, o + i, n, load<f32>(SUB_D + j), has_mins ? load<f32>(SUB_M + j) : 0);
  }
}

/** Blocks of 32 that begin with a scale, and go on with an offset to add if they have one. */
function legacy(x: usize, size: usize, s: usize, o: usize, n: i32, has_min: bool): void {
  for (const end = s + <usize>n * 4; s < end; x += size, s += 128, o += 128) {
    const offset: f32 = has_min ? -f16_to_f32(load<u16>(x, 2)) : 0;
    fill(s, o, 32, f16_to_f32(load<u16>(x)), offset);
  }
}

export function grid_row_q4_0(x: usize, s: usize, o: usize, n: i32): void {
  legacy(x, 18, s, o, n, false);
}

export function grid_row_q4_1(x: usize, s: usize, o: usize, n: i32): void {
  legacy(x, 20, s, o, n, true);
}

export function grid_row_q5_0(x: usize, s: usize, o: usize, n: i32): void {
  legacy(x, 22, s, o, n, false);
}

export function grid_row_q5_1(x: usize, s: usize, o: usize, n: i32): void {
  legacy(x, 24, s, o, n, true);
}

export function grid_row_q8_0(x: usize, s: usize, o: usize, n: i32): void {
  legacy(x, 34, s, o, n, false);
}

export function grid_row_iq4_nl(x: usize, s: usize, o: usize, n: i32): void {
  legacy(x, 18, s, o, n, false);
}

export function grid_row_iq4_xs(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 136) {
    const d = f16_to_f32(load<u16>(x));
    const high = <u32>load<u16>(x, 2);
    const low = load<u32>(x, 4);
    for (let k: u32 = 0; k < 8; k++, s += 128, o += 128) {
      const scale = <i32>(((low >> (k * 4)) & 15) | (((high >> (k * 2)) & 3) << 4)) - 32;
      fill(s, o, 32, d * <f32>scale, 0);
    }
  }
}

export function grid_row_q2_k(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 84, s += 1024, o += 1024) {
    const bytes = v128.load(x);
    store_scaled(SUB_D, v128.and(bytes, i8x16.splat(15)), f32x4.splat(f16_to_f32(load<u16>(x + 80))));
    store_scaled(SUB_M, i8x16.shr_u(bytes, 4), f32x4.splat(f16_to_f32(load<u16>(x + 82))));
    fill_sub_blocks(s, o, 16, true);
  }
}

export function grid_row_q3_k(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 110, s += 1024, o += 1024) {
    store_scaled(SUB_D, load_scales(x), f32x4.splat(f16_to_f32(load<u16>(x + 108))));
    fill_sub_blocks(s, o, 16, false);
  }
}

export function grid_row_q4_k(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 144, s += 1024, o += 1024) {
    unpack_scales_mins(x + 4, f16_to_f32(load<u16>(x)), f16_to_f32(load<u16>(x + 2)));
    fill_sub_blocks(s, o, 32, true);
  }
}

export function grid_row_q5_k(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 176, s += 1024, o += 1024) {
    unpack_scales_mins(x + 4, f16_to_f32(load<u16>(x)), f16_to_f32(load<u16>(x + 2)));
    fill_sub_blocks(s, o, 32, true);
  }
}

export function grid_row_q6_k(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 210, s += 1024, o += 1024) {
    store_scaled(SUB_D, v128.load(x + 192), f32x4.splat(f16_to_f32(load<u16>(x + 208))));
    fill_sub_blocks(s, o, 16, false);
  }
}

export function grid_row_iq2_xxs(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 66) {
    const d = f16_to_f32(load<u16>(x));
    for (let k: usize = 0; k < 8; k++, s += 128, o += 128) {
      fill(s, o, 32, d * (0.5 + <f32>(load<u32>(x + k * 8, 6) >> 28)) * 0.25, 0);
    }
  }
}

/** Sixteen scales of four bits at `scales`, in a block that begins with d. */
function fill_small_scales(x: usize, scales: usize, s: usize, o: usize): void {
  const d = f16_to_f32(load<u16>(x));
  for (let k: usize = 0; k < 8; k++, s += 128, o += 128) {
    const both = <u32>load<u8>(scales + k);
    fill(s, o, 16, d * (0.5 + <f32>(both & 15)) * 0.25, 0);
    fill(s + 64, o + 64, 16, d * (0.5 + <f32>(both >> 4)) * 0.25, 0);
  }
}

export function grid_row_iq2_xs(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 74, s += 1024, o += 1024)
    fill_small_scales(x, x + 66, s, o);
}

export function grid_row_iq2_s(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 82, s += 1024, o += 1024)
    fill_small_scales(x, x + 74, s, o);
}

export function grid_row_iq3_xxs(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 98) {
    const d = f16_to_f32(load<u16>(x));
    for (let k: usize = 0; k < 8; k++, s += 128, o += 128) {
      fill(s, o, 32, d * (0.5 + <f32>(load<u32>(x + k * 4, 66) >> 28)) * 0.5, 0);
    }
  }
}

export function grid_row_iq3_s(x: usize, s: usize, o: usize, n: i32): void {
  for (const end = s + <usize>n * 4; s < end; x += 110) {
    const d = f16_to_f32(load<u16>(x));
    const scales = load<u32>(x, 106);
    for (let k: u32 = 0; k < 8; k++, s += 128, o += 128) {
      fill(s, o, 32, d * <f32>(((scales >> (k * 4)) & 15) * 2 + 1), 0);
    }
  }
}
