"""Tokenizers of 320 tokens for the checkpoints of families.py, of the kinds that the families have."""

import io
import json
import tempfile

import sentencepiece
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

VOCAB = 320
END = "<|endoftext|>"

_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"


def _gpt4(digits):
    return (
        rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


def _split(regex):
    return pre_tokenizers.Split(Regex(regex), "isolated")


def _bytes(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


# How published files of each kind split text, and whether they normalize it.
PIPELINES = {
    "gpt-2": ([_bytes(True)], False),
    "gpt-neox": ([_bytes(True)], True),
    "llama-3": ([_split(_gpt4(r"\p{N}{1,3}")), _bytes(False)], False),
    "dbrx": ([_split(_gpt4(r"\p{N}{1,3}")), _bytes(False)], False),
    "qwen2": ([_split(_gpt4(r"\p{N}")), _bytes(False)], True),
    "falcon": (
        [pre_tokenizers.Punctuation("contiguous"), _bytes(True), pre_tokenizers.Digits(False), _split("[0-9][0-9][0-9]")],
        False,
    ),
    "starcoder": ([pre_tokenizers.Digits(True), _bytes(True)], False),
}


# ChatGLM-6B spells white space out before SentencePiece sees the text.
BLANKS = [f"<|blank_{n}|>" for n in range(2, 9)]
CHATGLM_CONTROL = ["[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>"]


def train_spm(text, model_type="bpe", **options):
    """A SentencePiece model with byte fallback; the bytes of its file."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.splitlines()),
        model_writer=model,
        vocab_size=VOCAB,
        model_type=model_type,
        byte_fallback=True,
        character_coverage=0.98,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def train_bpe(text, kind):
    """The text of a tokenizer.json."""
    splits, nfc = PIPELINES[kind]
    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=kind == "llama-3"))
    tokenizer.normalizer = normalizers.NFC() if nfc else None
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    assert tokenizer.get_vocab_size() == VOCAB
    return tokenizer.to_str()


def train_gemma(text, folder):
    """The tokenizer that transformers' own script makes of Gemma 4's SentencePiece model: its pieces, and merges of them."""
    from transformers import GemmaTokenizer
    from transformers.tokenization_utils_sentencepiece import SentencePieceExtractor

    ids = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>"}
    named = {"image_token": "<|image|>", "sot_token": "<|turn>", "eot_token": "<turn|>", "soc_token": "<|channel>"}
    pieces = ["<mask>", *named.values(), "<channel|>", "<unused0>", "\n", "\n\n", "\n\n\n", "▁▁", "▁▁▁", "<b>"]
    with tempfile.NamedTemporaryFile(suffix=".model") as model:
        model.write(train_spm(text, add_dummy_prefix=False, user_defined_symbols=pieces, **ids))
        model.flush()
        vocab, _, merges = SentencePieceExtractor(model.name).extract()
    tokenizer = GemmaTokenizer(vocab=vocab, merges=merges, add_bos_token=False, padding_side="left", extra_special_tokens=named)
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_tokenizer(kind, text, folder, add_bos):
    """Writes the files of a tokenizer; returns the ids of the text, and of what every text begins with."""
    if kind == "gemma4":
        tokenizer = train_gemma(text, folder)
        start = [tokenizer.bos_token_id] if add_bos else []
        return start + tokenizer.encode(text, add_special_tokens=False), start
    if kind == "ice":
        symbols = {"user_defined_symbols": ["<n>", "<|tab|>", *BLANKS], "control_symbols": CHATGLM_CONTROL}
        model = train_spm(text, "unigram", pad_id=3, **symbols)
        (folder / "ice_text.model").write_bytes(model)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = processor.encode(text.replace("\n", "<n>"))
        start = [processor.piece_to_id(piece) for piece in ("[gMASK]", "<sop>")]
        config = {"bos_token": "<sop>", "eos_token": "<eop>", "mask_token": "[MASK]", "gmask_token": "[gMASK]"}
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
        return start + ids, start
    if kind.startswith("spm"):
        order = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3} if kind == "spm gemma" else {}
        model = train_spm(text, add_dummy_prefix=kind != "spm gemma", **order)
        (folder / "tokenizer.model").write_bytes(model)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids, bos = processor.encode(text), processor.bos_id()
        config = {"add_bos_token": add_bos, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>"}
    else:
        saved = train_bpe(text, kind)
        (folder / "tokenizer.json").write_text(saved + "\n")
        ids, bos = tokenizers.Tokenizer.from_str(saved).encode(text).ids, 0
        config = {"add_bos_token": add_bos, "bos_token": END, "eos_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    start = [bos] if add_bos else []
    return start + ids, start
