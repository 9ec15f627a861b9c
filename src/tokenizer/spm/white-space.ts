// ChatGLM-6B's tokenizer spells white space out before SentencePiece sees a text, and has pieces for it: `<n>` for a
// line end, `<|tab|>`, and `<|blank_2|>` to `<|blank_80|>` for runs of spaces (tokenization_chatglm.py).

/** `pre` of vocabularies that do so; llq's own name. */
export const SPELLED_WHITE_SPACE = "chatglm-6b";

const LONGEST = 80;

export function spellWhiteSpace(text: string): string {
  return text
    .replaceAll("\n", "<n>")
    .replaceAll("\t", "<|tab|>")
    .replace(/ {2,}/g, (run) => {
      const left = run.length % LONGEST;
      const rest = left < 2 ? " ".repeat(left) : `<|blank_${left}|>`;
      return `<|blank_${LONGEST}|>`.repeat(Math.floor(run.length / LONGEST)) + rest;
    });
}

export function readWhiteSpace(text: string): string {
  return text
    .replaceAll("<n>", "\n")
    .replaceAll("<|tab|>", "\t")
    .replace(/<\|blank_(\d\d?)\|>/g, (_, count: string) => " ".repeat(Number(count)));
}
