import type { SmallType } from "../../formats/container.js";

/** What each byte stands for. */
export const SMALL_VALUES: Readonly<Record<SmallType, Float32Array>> = {
  // OCP 8-bit floating point (OFP8). E4M3 has no infinities and one NaN of each sign; E5M2 is a half without its low byte.
  F8_E4M3: Float32Array.from({ length: 256 }, (_, byte) =>
    (byte & 0x7f) === 0x7f ? Number.NaN : float8(byte, 3, 7),
  ),
  F8_E5M2: Float32Array.from({ length: 256 }, (_, byte) => {
    if ((byte & 0x7c) !== 0x7c) return float8(byte, 2, 15);
    if ((byte & 3) !== 0) return Number.NaN;
    return byte < 0x80 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }),
  I8: Float32Array.from({ length: 256 }, (_, byte) => (byte << 24) >> 24),
};

function float8(byte: number, mantissaBits: number, bias: number): number {
  const mantissa = byte & (2 ** mantissaBits - 1);
  const exponent = (byte & 0x7f) >> mantissaBits;
  const fraction = exponent === 0 ? mantissa : mantissa + 2 ** mantissaBits;
  const magnitude = fraction * 2 ** (Math.max(exponent, 1) - bias - mantissaBits);
  return byte < 0x80 ? magnitude : -magnitude;
}
