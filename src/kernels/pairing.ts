import { pairable } from "#host/engine";

/**
 * The versions of V8, those of Node 24 and 26, that can work on two vectors at once, on x64, and what keeps them from
 * optimizing code when they compile it. Inlining does, as it needs counts of calls. Other versions may end the process
 * when they are told to.
 */
const PAIRING: ReadonlyMap<string, readonly string[]> = new Map([
  ["13.6", ["liftoff", "wasm-lazy-compilation", "wasm-inlining"]],
  ["14.6", ["liftoff", "wasm-lazy-compilation", "wasm-inlining", "wasm-inlining-call-indirect"]],
]);

/**
 * Runs what compiles modules such that the engine makes one register of 256 bits of two vectors, where it can; nothing is run
 * where it cannot. For a moment this way of compiling is on for all that the engine compiles, and it breaks code which was
 * not written for it: nothing else of WebAssembly may have run in the process.
 */
export function whilePairing(compile: () => void): void {
  const engine = pairable();
  const postponing = PAIRING.get(engine?.version ?? "");
  if (engine === undefined || postponing === undefined) return;
  const set = (flags: readonly string[]) => {
    for (const flag of flags) engine.setFlag(flag);
  };
  set(["experimental-wasm-revectorize", ...postponing.map((flag) => `no-${flag}`)]);
  try {
    compile();
  } finally {
    set(["no-experimental-wasm-revectorize", ...postponing]);
  }
}
