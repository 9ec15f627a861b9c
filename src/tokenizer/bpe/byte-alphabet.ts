// GPT-2 spells bytes as characters that can be seen: bytes that are printable Latin-1 as themselves, the other
// 68 as U+0100 and on, in order. A space is Ġ, a line feed Ċ.

const CHARACTERS: readonly string[] = (() => {
  let next = 0x100;
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 255 && byte !== 173);
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();

/** The code of the last. */
export const LARGEST_CHARACTER = Math.max(...CHARACTERS.map((character) => character.charCodeAt(0)));

const BYTES: ReadonlyMap<string, number> = new Map(CHARACTERS.map((character, byte) => [character, byte]));

/** The character that stands for a byte. */
export function byteCharacter(byte: number): string {
  return CHARACTERS[byte]!;
}

/** Bytes in the alphabet's characters. */
export function spellBytes(bytes: Uint8Array): string {
  let spelled = "";
  for (const byte of bytes) spelled += CHARACTERS[byte]!;
  return spelled;
}

/** The bytes a text spells; undefined when it has other characters. */
export function bytesOf(spelled: string): Uint8Array | undefined {
  const bytes = new Uint8Array(spelled.length);
  for (let i = 0; i < spelled.length; i++) {
    const byte = BYTES.get(spelled[i]!);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
