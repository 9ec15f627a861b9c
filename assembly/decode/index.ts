export { expand_lean } from "./expand";
export { lean_scratch_f32, multiply_lean_f32 } from "./floats";
export { lean_size } from "./layout";
export { lean_scratch, multiply_lean } from "./multiply";
export { pack_lean } from "./pack";
