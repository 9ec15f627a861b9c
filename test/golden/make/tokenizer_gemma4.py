"""Writes ../tokenizer/gemma4.json.gz: the ids of strings.json.gz by the tokenizer of ../families/gemma4-merges.

    python tokenizer_gemma4.py      # transformers 5.24.0

Special tokens are spelled out.
"""

import gzip
import json
from pathlib import Path

from transformers import AutoTokenizer

OUT = Path(__file__).parent.parent
OWN = ["\n", "\n\n", "\n\n\n", "\n" * 4, "\n" * 7, "a\n\nb", " \n \n", "▁", "▁▁", "  a   b    c", "<turn|>", "<|turn>user\n",
       "<|channel>thought\n<channel|>", "<unused0>", "<b>bold", "<0x41>", "é€😀", "\r\n", "\t\tx", "ab" * 300]

tokenizer = AutoTokenizer.from_pretrained(OUT / "families" / "gemma4-merges")
tokenizer._tokenizer.encode_special_tokens = True
strings = json.loads(gzip.decompress((OUT / "tokenizer" / "strings.json.gz").read_bytes()))
ids = [tokenizer._tokenizer.encode(text, add_special_tokens=False).ids for text in strings + OWN]
data = json.dumps({"own": OWN, "ids": ids}, separators=(",", ":")).encode()
(OUT / "tokenizer" / "gemma4.json.gz").write_bytes(gzip.compress(data, 9, mtime=0))
print(len(ids), "strings")
