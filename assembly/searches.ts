// The searches for scales that take nearly all the time of quantizing, as a module of their own, written for V8 to make one
// register of 256 bits of two vectors (src/kernels/searches.ts). The kernels have the same functions for every engine: these
// are not faster without.

export * from "./paired/with_mins";
export * from "./paired/without_mins";

/** Where the module's own data ends. */
export const DATA_END: usize = __heap_base;
