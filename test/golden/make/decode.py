"""Texts of ids by the reference decoders, into test/golden/tokenizer/decode.json.gz.

usage: decode.py [folder with published tokenizers]

Needs sentencepiece, tokenizers and tiktoken, and what tokenizer.py wrote. Each case has ids, how many of them are the
prompt, and the texts of the prompt and of all of them. Byte tokens of SentencePiece come as whole characters: of bytes that
are no UTF-8 the references make different numbers of replacement characters.
"""
import base64
import gzip
import json
import random
import re
import sys
from pathlib import Path

import sentencepiece
import tiktoken
import tiktoken.load
import tokenizers
from strings import ROOT

OUT = ROOT / "test" / "golden" / "tokenizer"
CHARACTERS = "é€😀\u200b中\ufeff\n"
CASES = 150


def read(name):
    return json.loads(gzip.decompress((OUT / f"{name}.json.gz").read_bytes()))


def cases(name, decode, size, avoid=(), byte_id=None):
    """Half of the cases are ids of strings, half random ids; every third has a character spelled in byte tokens."""
    chance = random.Random(name)
    golden = read(name)
    known = golden["ids"] if "ids" in golden else golden["pipelines"]["gpt-2"]["ids"]
    for i in range(CASES):
        if i % 2:
            ids = [id for id in chance.choice(known) if id not in avoid][:40]
        else:
            ids = [id for id in (chance.randrange(size) for _ in range(chance.randrange(1, 10))) if id not in avoid]
        if byte_id and i % 3 == 0:
            at = chance.randrange(len(ids) + 1)
            ids[at:at] = [byte_id(byte) for byte in chance.choice(CHARACTERS).encode()]
        prompt = chance.randrange(len(ids) + 1)
        yield {"ids": ids, "prompt": prompt, "start": decode(ids[:prompt]), "text": decode(ids)}


def by_sentencepiece(name, model, fit=lambda text: text):
    # byte tokens at random are no characters, unknown tokens have texts of each program's own
    avoid = {id for id in range(model.get_piece_size()) if model.is_byte(id) or model.is_unknown(id)}
    has_bytes = any(model.is_byte(id) for id in range(model.get_piece_size()))
    byte_id = (lambda byte: model.piece_to_id(f"<0x{byte:02X}>")) if has_bytes else None
    return list(cases(name, lambda ids: fit(model.decode(ids)), model.get_piece_size(), avoid, byte_id))


def by_tiktoken(name, path):
    encoding = tiktoken.Encoding(name, pat_str=".", mergeable_ranks=tiktoken.load.load_tiktoken_bpe(str(path)), special_tokens={})
    return list(cases(name, encoding.decode, encoding.n_vocab))


def by_tokenizers(name, tokenizer):
    return list(cases(name, tokenizer.decode, tokenizer.get_vocab_size(with_added_tokens=False)))


def chatglm(text):
    """What tokenization_chatglm.py does behind SentencePiece."""
    text = text.replace("<n>", "\n").replace("<|tab|>", "\t")
    return re.sub(r"<\|blank_(\d\d?)\|>", lambda match: " " * int(match[1]), text)


golden = {"madeBy": f"sentencepiece {sentencepiece.__version__}, tokenizers {tokenizers.__version__}, tiktoken {tiktoken.__version__}"}

tiny = ROOT / "samples" / "tiny-llama"
golden["tiny-llama"] = by_sentencepiece("tiny-llama", sentencepiece.SentencePieceProcessor(model_file=str(tiny / "tokenizer.model")))
same = tokenizers.Tokenizer.from_file(str(tiny / "tokenizer.json"))
different = [case for case in golden["tiny-llama"] if same.decode(case["ids"]) != case["text"]]
print(f"tiny-llama: tokenizers gives another text for {len(different)} of {CASES}", different[:3])

level = tokenizers.Tokenizer.from_str(json.dumps({
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "post_processor": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "model": read("byte-level")["model"]}))
golden["byte-level"] = by_tokenizers("byte-level", level)

for name in ("unigram-bytes", "unigram-unknown"):
    model = sentencepiece.SentencePieceProcessor(model_proto=base64.b64decode(read(name)["model"]))
    golden[name] = by_sentencepiece(name, model)

if len(sys.argv) > 1:
    shared = Path(sys.argv[1])
    for name, path in {"llama2": "llama2/tokenizer.model", "internlm": "internlm/V7_sft.model"}.items():
        golden[name] = by_sentencepiece(name, sentencepiece.SentencePieceProcessor(model_file=str(shared / path)))
    ice = sentencepiece.SentencePieceProcessor(model_file=str(shared / "chatglm-6b/ice_text.model"))
    golden["chatglm-6b"] = by_sentencepiece("chatglm-6b", ice, chatglm)
    golden["falcon"] = by_tokenizers("falcon", tokenizers.Tokenizer.from_file(str(shared / "falcon-tokenizer/tokenizer.json")))
    gpt2 = tokenizers.ByteLevelBPETokenizer(str(shared / "gpt2/vocab.json"), str(shared / "gpt2/merges.txt"))
    golden["gpt2"] = list(cases("gpt2", gpt2.decode, 50256))
    golden["llama3"] = by_tiktoken("llama3", shared / "llama3/tokenizer.model")
    golden["qwen"] = by_tiktoken("qwen", shared / "qwen/qwen.tiktoken")

text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
(OUT / "decode.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
