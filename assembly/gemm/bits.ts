/**
 * Of the registers that the module was compiled for: the engine may have made one of two vectors
 * (src/kernels/products.ts), of which the module itself knows nothing. Whoever instantiates it sets this.
 */
export let bits: i32 = 128;
