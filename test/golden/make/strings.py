"""Strings on which tokenizers tend to disagree: prose, random Unicode, white space, digits, punctuation, code.

make_strings() is deterministic: the same list on every machine with Python 3.11 or later.
"""
import random
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

BLOCKS = [
    (0x0000, 0x007F), (0x0020, 0x007E), (0x00A0, 0x024F), (0x0300, 0x03FF), (0x0400, 0x04FF), (0x0590, 0x06FF),
    (0x0900, 0x097F), (0x0E00, 0x0E7F), (0x1100, 0x11FF), (0x2000, 0x206F), (0x20A0, 0x20BF), (0x2150, 0x218F),
    (0x2500, 0x25FF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFB00, 0xFEFF), (0xFF00, 0xFFEF),
    (0x10400, 0x1044F), (0x1D400, 0x1D7FF), (0x1F300, 0x1F6FF), (0x20000, 0x2A6DF),
]
SPACES = [" ", "  ", "   ", "    ", "\n", "\n\n", "\t", "\r\n", "\r", "\u00a0", "\u3000", "\u2028", "\u0085",
          "\ufeff", "\u200b", "\v", "\f", " \n ", "\n \n", "\t\t"]
WORDS = ["Hello", "world", "the", "naïve", "I'm", "it's", "THEY'LL", "we'Ve", "'s", "don't", "x", "3.14", "2024-05-17",
         "1234567", "½", "²", "٣٤", "Ⅷ", "e-mail", "C++", "user@example.org", "https://a.b/c?d=1&e=2", "日本語", "한국어",
         "Привет", "שלום", "مرحبا", "नमस्ते", "สวัสดี", "🦙", "👩‍👩‍👧", "é", "e\u0301", "Å", "ﬁ", "…", "—", "“quoted”",
         "$9.99", "100%", "#tag", "_under_score", "snake_case", "camelCase", "ALLCAPS", "(a)", "[b]", "{c}", "<d>", "▁"]
CODE = ["def main():\n    print('hello world')\t# greeting\n", "for (let i = 0; i < n; i++) {\n\tsum += a[i];\n}\n",
        "SELECT * FROM t WHERE id != 42;", "<div class=\"x\">\r\n  <p>text</p>\r\n</div>", "if(a&&b||!c){return a>>>2;}",
        "#include <stdio.h>\n\nint main(void) { return 0; }\n", "x = {'a': [1, 2, 3], \"b\": None}  # comment",
        "\\begin{equation} e^{i\\pi} + 1 = 0 \\end{equation}", "|---|:--:|\n| a | b |\n", "0xDEADBEEF 0b1010 1e-9 1_000_000"]


def random_unicode(rng):
    text = []
    while len(text) < rng.randint(1, 20):
        low, high = rng.choice(BLOCKS)
        character = chr(rng.randint(low, high))
        if unicodedata.category(character) not in ("Cn", "Cs", "Co"):
            text.append(character)
    return "".join(text)


def mixture(rng, joints):
    words = [rng.choice(WORDS) for _ in range(rng.randint(1, 8))]
    return "".join(part for word in words for part in (word, rng.choice(joints)))


def make_strings(count=2200):
    rng = random.Random(20260)
    prose = (ROOT / "samples" / "text.txt").read_text(encoding="utf-8")
    strings = ["", " ", "  ", "\n", "a", " a", "a ", "\t", "▁", " ▁", "\u0000", "\ufffd", "\U0010fffd", *CODE]
    while len(strings) < count:
        kind = rng.randrange(10)
        if kind < 4:
            start = rng.randrange(len(prose))
            strings.append(prose[start : start + rng.randint(1, 80)])
        elif kind < 6:
            strings.append(random_unicode(rng))
        elif kind < 8:
            strings.append(mixture(rng, SPACES))
        elif kind < 9:
            strings.append(mixture(rng, ["", "", " ", ".", ",", "!?", "'", "-", "/", "7"]))
        else:
            strings.append(rng.choice(SPACES) * rng.randint(1, 9) + rng.choice(CODE) + rng.choice(SPACES))
    return strings
