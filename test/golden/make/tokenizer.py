"""Ids of the strings of strings.py by the reference implementations, into test/golden/tokenizer.

usage: tokenizer.py [folder with published tokenizers]

Needs sentencepiece, tokenizers and tiktoken. The ids are program output; the vocabularies themselves stay where they are.
"""
import base64
import gzip
import io
import json
import sys
import unicodedata
from pathlib import Path

import sentencepiece
import tiktoken
import tiktoken.load
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers
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


def gpt2_encoder(folder):
    tokenizer = tokenizers.ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    return lambda string: tokenizer.encode(string, add_special_tokens=False).ids


def tiktoken_encoder(path, pre, nfc=False):
    ranks = tiktoken.load.load_tiktoken_bpe(str(path))
    encoding = tiktoken.Encoding(path.name, pat_str=SPLITS[pre][0], mergeable_ranks=ranks, special_tokens={})
    normal = (lambda string: unicodedata.normalize("NFC", string)) if nfc else (lambda string: string)
    return lambda string: encoding.encode_ordinary(normal(string))


def byte_level_pipeline(split):
    """What published files of this kind have: Split by each expression, then ByteLevel for the alphabet only."""
    splits = [pre_tokenizers.Split(tokenizers.Regex(regex), "isolated") for regex in split]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def make_byte_level(strings):
    """A vocabulary whose tokens reach over words, digits and lines, so that every difference in splitting shows."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    lines = [line for string in strings for line in string.split(".")]
    trainer = trainers.BpeTrainer(vocab_size=1600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    pipelines = {}
    for name, (split, nfc, ignore_merges) in PIPELINES.items():
        tokenizer.pre_tokenizer = split if isinstance(split, pre_tokenizers.PreTokenizer) else byte_level_pipeline(split)
        tokenizer.normalizer = normalizers.NFC() if nfc else normalizers.Sequence([])
        tokenizer.model.ignore_merges = ignore_merges
        saved = json.loads(tokenizer.to_str())
        every = 1 if name in ("gpt-2", "llama-bpe", "qwen2") else 4
        pipelines[name] = {
            "normalizer": saved["normalizer"],
            "pre_tokenizer": saved["pre_tokenizer"],
            "ignore_merges": ignore_merges,
            "every": every,
            "ids": [tokenizer.encode(string).ids for string in strings[::every]],
        }
    write("byte-level", {"madeBy": TOKENIZERS, "model": model, "pipelines": pipelines})


def make_unigram(strings):
    """Small models that use what unigram models may have: replacements, user-defined pieces, bytes or unknowns."""
    rules = OUT / "rules.tsv"
    rules.write_text("".join(f"{source}\t{target}\n" for source, target in RULES))
    for name, options in UNIGRAM.items():
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(string for string in strings if "\0" not in string and string.strip()),
            model_writer=model, model_type="unigram", vocab_size=1200, character_coverage=0.98, num_threads=1,
            user_defined_symbols=["<n>", "<|tab|>"], normalization_rule_tsv=str(rules), minloglevel=2, **options)
        encode = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).encode
        write(name, {
            "madeBy": SENTENCEPIECE,
            "model": base64.b64encode(model.getvalue()).decode(),
            "ids": [encode(string) for string in strings],
        })
    rules.unlink()


SENTENCEPIECE = f"sentencepiece {sentencepiece.__version__}"
TIKTOKEN = f"tiktoken {tiktoken.__version__}"
TOKENIZERS = f"tokenizers {tokenizers.__version__}"

# As published in the models' own files.
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
GPT4 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%s"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%s"
         r"|%s| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPLITS = {
    "llama-bpe": [GPT4 % r"\p{N}{1,3}"],
    "qwen2": [GPT4 % r"\p{N}"],
    "tekken": [GPT4O % ("", "", r"\p{N}")],
    "gpt-4o": [GPT4O % (CONTRACTIONS + "?", CONTRACTIONS + "?", r"\p{N}{1,3}")],
    "deepseek-v3": [
        r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
        "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    ],
    "deepseek-coder": ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}"],
    "bloom": [" ?[^(\\s|[.,!?…。，、।۔،])]+"],
}
GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
# name: how it splits, whether it brings text to NFC, whether a piece that is a token is not merged
PIPELINES = {
    "gpt-2": (GPT2, False, False),
    "mpt": (GPT2, True, False),
    "llama-bpe": (SPLITS["llama-bpe"], False, True),
    "smaug-bpe": (SPLITS["llama-bpe"], False, False),
    "qwen2": (SPLITS["qwen2"], True, False),
    "tekken": (SPLITS["tekken"], False, True),
    "gpt-4o": (SPLITS["gpt-4o"], False, False),
    "starcoder": (pre_tokenizers.Sequence([pre_tokenizers.Digits(True), GPT2]), False, False),
    "deepseek-v3": (SPLITS["deepseek-v3"], False, False),
    "deepseek-coder": (SPLITS["deepseek-coder"], False, False),
    "bloom": (SPLITS["bloom"], False, False),
}
# Longer and shorter replacements of one beginning, a removal, and something that looks like a piece.
RULES = [("FF41", "61"), ("FF42", "62"), ("FB01", "66 69"), ("2026", "2E 2E 2E"), ("A0", "20"), ("3000", "20"),
         ("9", "20"), ("A", "20"), ("200B", ""), ("65 301", "E9"), ("41 30A", "C5"), ("41 30A 301", "1FA")]
UNIGRAM = {
    "unigram-bytes": {"byte_fallback": True},
    "unigram-unknown": {"remove_extra_whitespaces": False, "add_dummy_prefix": False},
}

strings = make_strings()
write("strings", strings)

tiny = ROOT / "samples" / "tiny-llama"
by_sentencepiece = sentencepiece_encoder(tiny / "tokenizer.model")
by_tokenizers = huggingface_encoder(tiny / "tokenizer.json")
assert all(by_sentencepiece(string) == by_tokenizers(string) for string in strings)
write_ids("tiny-llama", f"{SENTENCEPIECE}, {TOKENIZERS}", by_sentencepiece)

make_byte_level(strings)
make_unigram(strings)

if len(sys.argv) > 1:
    shared = Path(sys.argv[1])
    for name, path in {
        "llama2": "llama2/tokenizer.model",
        "internlm": "internlm/V7_sft.model",
        "chatglm-6b": "chatglm-6b/ice_text.model",
    }.items():
        write_ids(name, SENTENCEPIECE, sentencepiece_encoder(shared / path))
    write_ids("falcon", TOKENIZERS, huggingface_encoder(shared / "falcon-tokenizer" / "tokenizer.json"))
    write_ids("gpt2", TOKENIZERS, gpt2_encoder(shared / "gpt2"))
    write_ids("llama3", TIKTOKEN, tiktoken_encoder(shared / "llama3" / "tokenizer.model", "llama-bpe"))
    write_ids("qwen", TIKTOKEN, tiktoken_encoder(shared / "qwen" / "qwen.tiktoken", "qwen2", nfc=True))
