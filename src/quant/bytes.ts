import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";

const POWERS = "KMGT";

/**
 * Reads a number of bytes with its unit, the one way that every option takes it: `8GB` is 8 × 1000³ bytes, `8GiB` 8 × 1024³,
 * `8G` is `8GB`, and `8B` is 8. A number alone is none: nobody can tell what was meant.
 * @param option what it is the value of, for the message
 * @throws LlqError `usage`
 */
export function parseBytes(option: string, text: string): number {
  const [, digits, unit, binary] =
    /^(\d{1,15}(?:\.\d{1,6})?) ?(?:([KMGT])(i?)B?|B)$/i.exec(text.trim()) ?? [];
  const base = binary?.toLowerCase() === "i" ? 1024 : 1000;
  const power = unit === undefined ? 0 : POWERS.indexOf(unit.toUpperCase()) + 1;
  const bytes = Math.floor(Number(digits) * base ** power);
  if (bytes > 0 && Number.isSafeInteger(bytes)) return bytes;
  const alone = /^\d+$/.test(text) ? t`, or ${text}B for bytes` : "";
  throw new LlqError("usage", t`${option} ${text}: not a size with its unit`, {
    hint: t`${option} 8GB (8 × 1000³ bytes), 8GiB (8 × 1024³) or 500MB${alone}`,
  });
}
