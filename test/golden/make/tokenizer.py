"""Ids of the strings of strings.py by the reference implementations, into test/golden/tokenizer.

usage: tokenizer.py [folder with published tokenizers]

Needs sentencepiece and tokenizers. The ids are program output; the vocabularies themselves stay where they are.
"""
import gzip
import json
import sys
from pathlib import Path

import sentencepiece
import tokenizers
from strings import ROOT, make_strings

OUT = ROOT / "test" / "golden" / "tokenizer"


def write(name, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def write_ids(name, made_by, encode):
    write(name, {"madeBy": made_by, "ids": [encode(string) for string in strings]})


def sentencepiece_encoder(path):
    return sentencepiece.SentencePieceProcessor(model_file=str(path)).encode


def huggingface_encoder(path):
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    return lambda string: tokenizer.encode(string, add_special_tokens=False).ids


SENTENCEPIECE = f"sentencepiece {sentencepiece.__version__}"
TOKENIZERS = f"tokenizers {tokenizers.__version__}"

strings = make_strings()
write("strings", strings)

tiny = ROOT / "samples" / "tiny-llama"
by_sentencepiece = sentencepiece_encoder(tiny / "tokenizer.model")
by_tokenizers = huggingface_encoder(tiny / "tokenizer.json")
assert all(by_sentencepiece(string) == by_tokenizers(string) for string in strings)
write_ids("tiny-llama", f"{SENTENCEPIECE}, {TOKENIZERS}", by_sentencepiece)

if len(sys.argv) > 1:
    shared = Path(sys.argv[1])
    write_ids("llama2", SENTENCEPIECE, sentencepiece_encoder(shared / "llama2" / "tokenizer.model"))
