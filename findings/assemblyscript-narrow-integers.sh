#!/usr/bin/env bash
# assemblyscript 0.28.20 (npm), Node 20 or newer
# Guess:  `>>>` of an i8 shifts in zeros at its own width (as i8x16.shr_u does), and a cast of f32 to u8 saturates or wraps.
# Seen:   `>>>` of an i8 or i16 gives what `>>` gives (the sign is extended before the shift and cut off behind it), and a cast
#         saturates at 32 bits and THEN wraps at 8: <u8>-1.0 is 0, <u8>300.0 is 44, <u8>5e9 is 255, <i8>5e9 is -1.
# Matters: scalar tails of SIMD kernels that unpack bytes, or quantize floats to bytes, differ from the vector part on the same data.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
npm install --silent --prefix "$dir" assemblyscript@0.28.20
cat >"$dir/narrow.ts" <<'TS'
export function shift8(a: i8): i32 { return a >>> 1; }
export function shift16(a: i16): i32 { return a >>> 1; }
export function shift32(a: i32): i32 { return a >>> 1; }
export function vector(a: i8): i32 { return i8x16.extract_lane_s(i8x16.shr_u(i8x16.splat(a), 1), 0); }
export function u8of(x: f32): i32 { return <u8>x; }
export function i8of(x: f32): i32 { return <i8>x; }
TS
"$dir/node_modules/.bin/asc" "$dir/narrow.ts" -o "$dir/narrow.wasm" --enable simd --runtime stub
cat >"$dir/run.mjs" <<'JS'
import { readFileSync } from "node:fs";
const { instance: { exports: x } } = await WebAssembly.instantiate(readFileSync(new URL("narrow.wasm", import.meta.url)), {});
const seen = {
  shifts: [x.shift8(-128), x.shift16(-32768), x.shift32(-128) >>> 0, x.vector(-128)],
  u8: [-1, 300, 5e9].map(x.u8of),
  i8: [200, 5e9].map(x.i8of),
};
console.log(seen);
const stated = { shifts: [-64, -16384, 2147483584, 64], u8: [0, 44, 255], i8: [-56, -1] };
if (JSON.stringify(seen) !== JSON.stringify(stated)) {
  console.error("CHANGED: narrow integers");
  process.exit(1);
}
JS
node "$dir/run.mjs"
