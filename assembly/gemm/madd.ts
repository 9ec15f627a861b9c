// The one step of products of floats: sum + a * b. FUSED is a constant of the build (asconfig.json): 1 lets the engine round once where
// the machine can, which is faster and not the same everywhere; 0 rounds the product and the sum.
export function madd(sum: v128, a: v128, b: v128): v128 {
  return FUSED === 1 ? f32x4.relaxed_madd(a, b, sum) : f32x4.add(sum, f32x4.mul(a, b));
}
