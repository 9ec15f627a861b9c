// Other codes for a row that is quantized, on the grid that it has (grids.ts): q [n] bytes, counted from the lowest code.
import { gather_levels } from "../blocks/k/superblock";
import { join_nibbles, store_u5 } from "../blocks/pack";

/** 32 codes of four bits. */
function store_nibbles(q: usize, y: usize): void {
  v128.store(y, join_nibbles(v128.load(q), v128.load(q, 16)));
}

/** 256 codes of four bits, or the lower four, in pairs of 32. */
function store_pairs(q: usize, y: usize): void {
  for (const end = q + 256; q < end; q += 64, y += 32) {
    v128.store(y, gather_levels(q, 32, 0, 4));
    v128.store(y, gather_levels(q + 16, 32, 0, 4), 16);
  }
}

export function codes_row_q4_0(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; q += 32, y += 18) store_nibbles(q, y + 2);
}

export function codes_row_q4_1(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; q += 32, y += 20) store_nibbles(q, y + 4);
}

export function codes_row_q5_0(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; q += 32, y += 22) store_u5(y + 2, v128.load(q), v128.load(q, 16));
}

export function codes_row_q5_1(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; q += 32, y += 24) store_u5(y + 4, v128.load(q), v128.load(q, 16));
}

/** Counted from -127. */
export function codes_row_q8_0(q: usize, y: usize, n: i32): void {
  const low = i8x16.splat(127);
  for (const end = q + <usize>n; q < end; q += 32, y += 34) {
    v128.store(y, i8x16.sub(v128.load(q), low), 2);
    v128.store(y, i8x16.sub(v128.load(q, 16), low), 18);
  }
}

export function codes_row_iq4_nl(q: usize, y: usize, n: i32): void {
  codes_row_q4_0(q, y, n);
}

export function codes_row_iq4_xs(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; q += 256, y += 136) {
    for (let k: usize = 0; k < 8; k++) store_nibbles(q + k * 32, y + 8 + k * 16);
  }
}

export function codes_row_q2_k(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; q += 256, y += 84) store_twos(q, y + 16);
}

/** 256 codes of two bits, or the lower two. */
function store_twos(q: usize, y: usize): void {
  v128.store(y, gather_levels(q, 32, 0, 2));
  v128.store(y, gather_levels(q + 16, 32, 0, 2), 16);
  v128.store(y, gather_levels(q + 128, 32, 0, 2), 32);
  v128.store(y, gather_levels(q + 144, 32, 0, 2), 48);
}

export function codes_row_q3_k(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; q += 256, y += 110) {
    v128.store(y, gather_levels(q, 32, 2, 1));
    v128.store(y, gather_levels(q + 16, 32, 2, 1), 16);
    store_twos(q, y + 32);
  }
}

export function codes_row_q4_k(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; q += 256, y += 144) store_pairs(q, y + 16);
}

export function codes_row_q5_k(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; q += 256, y += 176) {
    v128.store(y, gather_levels(q, 32, 4, 1), 16);
    v128.store(y, gather_levels(q + 16, 32, 4, 1), 32);
    store_pairs(q, y + 48);
  }
}

export function codes_row_q6_k(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; q += 256, y += 210) {
    for (let h: usize = 0; h < 2; h++) {
      const own = q + h * 128;
      for (let l: usize = 0; l < 32; l += 16) {
        const ql = y + h * 64 + l;
        v128.store(ql, gather_levels(own + l, 64, 0, 4));
        v128.store(ql, gather_levels(own + 32 + l, 64, 0, 4), 32);
        v128.store(y + 128 + h * 32 + l, gather_levels(own + l, 32, 4, 2));
      }
    }
  }
}

// Of codebooks: a group's entry in its first two bytes, its signs in the third (codebook.ts).

/** Four groups of eight with seven signs each, from the lowest bits on. */
function seven_signs(q: usize): u32 {
  let bits: u32 = 0;
  for (let j: u32 = 0; j < 4; j++) bits |= (<u32>load<u8>(q + j * 8, 2) & 127) << (j * 7);
  return bits;
}

export function codes_row_iq2_xxs(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; y += 66) {
    for (let own = y + 2; own < y + 66; own += 8, q += 32) {
      for (let j: usize = 0; j < 4; j++) store<u8>(own + j, load<u8>(q + j * 8));
      store<u32>(own, (load<u32>(own, 4) & 0xf0000000) | seven_signs(q), 4);
    }
  }
}

export function codes_row_iq2_xs(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; y += 74) {
    for (let own = y + 2; own < y + 66; own += 2, q += 8) {
      store<u16>(own, <u32>load<u16>(q) | ((<u32>load<u8>(q, 2) & 127) << 9));
    }
  }
}

export function codes_row_iq2_s(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; y += 82) {
    for (let k: usize = 0; k < 8; k++) {
      let high: u32 = 0;
      for (let j: usize = 0; j < 4; j++, q += 8) {
        store<u8>(y + k * 4 + j, load<u8>(q), 2);
        store<u8>(y + k * 4 + j, load<u8>(q, 2), 34);
        high |= (<u32>load<u8>(q, 1)) << (<u32>j * 2);
      }
      store<u8>(y + k, high, 66);
    }
  }
}

export function codes_row_iq3_xxs(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; y += 98) {
    for (let k: usize = 0; k < 8; k++) {
      let signs: u32 = 0;
      for (let j: u32 = 0; j < 4; j++, q += 8) {
        store<u8>(y + k * 8 + j * 2, load<u8>(q), 2);
        store<u8>(y + k * 8 + j * 2, load<u8>(q, 4), 3);
        const eight = <u32>load<u8>(q, 2) | ((<u32>load<u8>(q, 6)) << 4);
        signs |= (eight & 127) << (j * 7);
      }
      store<u32>(y + k * 4, (load<u32>(y + k * 4, 66) & 0xf0000000) | signs, 66);
    }
  }
}

export function codes_row_iq3_s(q: usize, y: usize, n: i32): void {
  for (const end = q + <usize>n; q < end; y += 110) {
    for (let k: usize = 0; k < 8; k++) {
      let high: u32 = 0;
      let signs: u32 = 0;
      for (let j: u32 = 0; j < 8; j++, q += 4) {
        store<u8>(y + k * 8 + j, load<u8>(q), 2);
        high |= (<u32>load<u8>(q, 1)) << j;
        signs |= (<u32>load<u8>(q, 2)) << (j * 4);
      }
      store<u8>(y + k, high, 66);
      store<u32>(y + k * 4, signs, 74);
    }
  }
}
