"""Writes ../tokenizer/rules.json.gz: what tokenizer.json says and GGUF has no words for, and the ids of some strings.

    python tokenizer_rules.py      # tokenizers 0.23.3

Each pipeline is a base with other parts: the tokenizer.json of samples/tiny-llama, the vocabulary of byte-level.json.gz
with GPT-2's splitting, or a unigram model made up here. Special tokens are spelled out (encode_special_tokens).
"""

import gzip
import json
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer

OUT = Path(__file__).parent.parent / "tokenizer"
SAMPLE = Path(__file__).parents[3] / "samples" / "tiny-llama" / "tokenizer.json"


def metaspace(scheme):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": False}


def added(first, *tokens):
    base = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return [{"id": first + i, "content": content, **base, **options} for i, (content, options) in enumerate(tokens)]


TOKENS = [("<tool>", {"normalized": True}), ("<raw>", {}), ("<raw><raw>", {}), ("<left>", {"lstrip": True}),
          ("<right>", {"rstrip": True}), ("word", {"single_word": True}), ("<|im|>", {}), ("two words", {}),
          ("n s", {"normalized": True}), ("<|special|>", {"special": True}), ("É", {"normalized": True})]
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
LEGACY = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, REPLACE]}


def bases():
    sample = json.loads(SAMPLE.read_text())
    level = json.loads(gzip.decompress((OUT / "byte-level.json.gz").read_bytes()))
    gpt2 = {"model": level["model"], "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}, "normalizer": None,
            "pre_tokenizer": level["pipelines"]["gpt-2"]["pre_tokenizer"]}
    letters = "▁abcdefghijklmnopqrstuvwxyz<>|.,'é\n"
    pieces = ["<unk>", *letters, "▁a", "▁the", "▁t", "he", "wo", "rd", "▁wo", "▁▁", "▁▁▁", "ing"]
    unigram = {"model": {"type": "Unigram", "unk_id": 0, "byte_fallback": False,
                         "vocab": [[piece, 0.0 if piece == "<unk>" else -2.0 - len(piece) / 8] for piece in pieces]},
               "normalizer": None, "pre_tokenizer": metaspace("always"), "decoder": None}
    return {"tiny-llama": sample, "gpt-2": gpt2, "unigram": unigram}


def no_bytes(model):
    """The model without tokens for bytes, so that characters may be unknown."""
    vocab = {text: i for text, i in model["vocab"].items()}
    return {**model, "byte_fallback": False, "unk_token": "<unk>", "vocab": vocab}


def pipelines(base):
    llama, level, unigram = base["tiny-llama"], base["gpt-2"], base["unigram"]
    first = len(llama["model"]["vocab"])
    own = llama.get("added_tokens") or []
    more = own + added(first, *TOKENS)
    yield "metaspace-always", "tiny-llama", {"normalizer": None, "pre_tokenizer": metaspace("always"), "added_tokens": more}
    yield "metaspace-first", "tiny-llama", {"normalizer": None, "pre_tokenizer": metaspace("first"), "added_tokens": more}
    yield "metaspace-never", "tiny-llama", {"normalizer": None, "pre_tokenizer": metaspace("never"), "added_tokens": more}
    yield "legacy", "tiny-llama", {"normalizer": LEGACY, "pre_tokenizer": None, "added_tokens": more}
    yield "replace-only", "tiny-llama", {"normalizer": REPLACE, "pre_tokenizer": None, "added_tokens": more}
    first = len(level["model"]["vocab"])
    yield "bytes", "gpt-2", {"added_tokens": added(first, *TOKENS)}
    yield "bytes-nfc", "gpt-2", {"normalizer": {"type": "NFC"}, "added_tokens": added(first, *TOKENS)}
    yield "bytes-whole", "gpt-2", {"model": {"ignore_merges": True}}
    first = len(unigram["model"]["vocab"])
    for scheme in ("always", "first", "never"):
        yield f"unigram-{scheme}", "unigram", {"pre_tokenizer": metaspace(scheme), "added_tokens": added(first, *TOKENS)}
    for fuse in (True, False):
        model = {"byte_fallback": False, "unk_token": "<unk>", "fuse_unk": fuse}
        pre = {"normalizer": None, "pre_tokenizer": metaspace("always"), "noBytes": True}
        yield f"unknown-{'fused' if fuse else 'each'}", "tiny-llama", {**pre, "model": model}


def strings():
    all_ = json.loads(gzip.decompress((OUT / "strings.json.gz").read_bytes()))
    made = ["", " ", "  ", " a", "  a", "▁a", "\n a", "a ", "<tool>", "a<tool>b", "a <tool> b", " <tool>", "<tool> <tool>",
            "<raw>", "a<raw>b", "<raw> b", "<raw><raw><raw>", "x <left> y", "x   <left>y", "<left>", "x<right>  y",
            "<right>\n\ny", "word", "a word.", "swords", "wordy word", "two words", "a two words b", "<|im|>", "a<|im|> b",
            "n s", "in sum", "than some", "<|special|>", "a<|special|>b", "É", "E\u0301", "aE\u0301b", "a\u0085b",
            "a \u0085 b", "\ufeffa b", "a\ufeff b", "a \ufeff", "日本語", "日本 語", "a日本語b", "<left> <right> <raw>"]
    return made + all_[::9]


def main():
    base = bases()
    texts = strings()
    result = {}
    for name, kind, parts in pipelines(base):
        whole = {"version": "1.0", "truncation": None, "padding": None, "post_processor": None, "added_tokens": [],
                 **base[kind], **{key: part for key, part in parts.items() if key != "noBytes"}}
        whole["post_processor"] = None
        whole["model"] = {**base[kind]["model"], **parts.get("model", {})}
        if parts.get("noBytes"):
            gone = [text for text in whole["model"]["vocab"] if text.startswith("<0x")]
            vocab = [text for text, i in sorted(whole["model"]["vocab"].items(), key=lambda pair: pair[1]) if text not in gone]
            whole["model"]["vocab"] = {text: i for i, text in enumerate(vocab)}
            whole["added_tokens"] = []
        tokenizer = Tokenizer.from_str(json.dumps(whole))
        tokenizer.encode_special_tokens = True
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        result[name] = {"base": kind, "parts": parts, "ids": ids}
        print(name, sum(map(len, ids)))
    golden = {"madeBy": f"tokenizers {tokenizers.__version__}", "unigram": base["unigram"], "strings": texts, "pipelines": result}
    (OUT / "rules.json.gz").write_bytes(gzip.compress(json.dumps(golden, ensure_ascii=False).encode(), 9, mtime=0))


main()
