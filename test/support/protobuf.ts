/** A field of a protobuf message: text and bytes are length-prefixed, whole numbers varints. */
export type Field = readonly [number: number, value: string | Uint8Array | bigint | number | { f32: number }];

export function protobuf(fields: readonly Field[]): Uint8Array {
  return new Uint8Array(Buffer.concat(fields.flatMap(([number, value]) => encode(number, value))));
}

export function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.of(...bytes, Number(rest));
}

function encode(number: number, value: Field[1]): Uint8Array[] {
  const tag = (wire: number) => varint(BigInt(number * 8 + wire));
  if (typeof value === "number" || typeof value === "bigint") return [tag(0), varint(BigInt(value))];
  if (typeof value === "object" && "f32" in value) {
    return [tag(5), new Uint8Array(Float32Array.of(value.f32).buffer)];
  }
  const bytes = Buffer.from(value as string);
  return [tag(2), varint(BigInt(bytes.length)), bytes];
}
