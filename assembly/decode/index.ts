export { expand_lean } from "./expand";
export { lean_size } from "./layout";
export { lean_scratch, multiply_lean } from "./multiply";
export { pack_lean } from "./pack";
