"""One small random Llama in every form that checkpoints come in, by the programs that write them.

    pip install torch==2.15.0 safetensors==0.8.0 huggingface-hub==2.4.0 sentencepiece==0.2.3
    python checkpoints.py ../checkpoints

A form is a folder without config.json, params.json and tokenizer.model, which lie above them once.
"""

import json
import shutil
import sys
from pathlib import Path

import sentencepiece
import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file

out = Path(sys.argv[1])
DIM, LAYERS, HEADS, KV_HEADS, FFN, VOCAB = 16, 2, 4, 2, 48, 96
HEAD_DIM = DIM // HEADS

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_act": "silu",
    "hidden_size": DIM,
    "intermediate_size": FFN,
    "max_position_embeddings": 4096,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": KV_HEADS,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": VOCAB,
}
# As in Llama 2's folders: the size of the vocabulary is left to the tokenizer, that of the feed-forward to arithmetic.
PARAMS = {
    "dim": DIM,
    "multiple_of": 16,
    "n_heads": HEADS,
    "n_kv_heads": KV_HEADS,
    "n_layers": LAYERS,
    "norm_eps": 1e-5,
    "vocab_size": -1,
}

# Hugging Face's name, Meta's, and how Meta's model code cuts it: its rows (0), its columns (1), or not at all.
TABLE = [
    ("model.embed_tokens", "tok_embeddings", 1),
    ("model.norm", "norm", None),
    ("lm_head", "output", 0),
    *(
        (f"model.layers.{i}.{hf}", f"layers.{i}.{meta}", cut)
        for i in range(LAYERS)
        for hf, meta, cut in [
            ("input_layernorm", "attention_norm", None),
            ("self_attn.q_proj", "attention.wq", 0),
            ("self_attn.k_proj", "attention.wk", 0),
            ("self_attn.v_proj", "attention.wv", 0),
            ("self_attn.o_proj", "attention.wo", 1),
            ("post_attention_layernorm", "ffn_norm", None),
            ("mlp.gate_proj", "feed_forward.w1", 0),
            ("mlp.up_proj", "feed_forward.w3", 0),
            ("mlp.down_proj", "feed_forward.w2", 1),
        ]
    ),
]
ROWS = {"q_proj": DIM, "k_proj": KV_HEADS * HEAD_DIM, "v_proj": KV_HEADS * HEAD_DIM, "o_proj": DIM}
SHAPES = {
    **{name: (rows, DIM) for name, rows in ROWS.items()},
    "gate_proj": (FFN, DIM),
    "up_proj": (FFN, DIM),
    "down_proj": (DIM, FFN),
    "embed_tokens": (VOCAB, DIM),
    "lm_head": (VOCAB, DIM),
}


def state_dict():
    """By Hugging Face's names. Large enough values that a mistake anywhere moves the perplexity."""
    torch.manual_seed(20261125)
    state = {}
    for name, _, _ in TABLE:
        shape = SHAPES.get(name.rsplit(".", 1)[-1])
        weight = 1 + torch.randn(DIM) / 8 if shape is None else torch.randn(shape) / 3
        state[f"{name}.weight"] = weight.bfloat16()
    return state


def meta_order(weight, heads):
    """transformers' permute, undone: rows of a head from halves to neighbours."""
    return weight.view(heads, 2, HEAD_DIM // 2, DIM).transpose(1, 2).reshape(weight.shape)


def meta_state(state):
    meta = {}
    for hf, name, _ in TABLE:
        weight = state[f"{hf}.weight"]
        if name.endswith("wq"):
            weight = meta_order(weight, HEADS)
        if name.endswith("wk"):
            weight = meta_order(weight, KV_HEADS)
        meta[f"{name}.weight"] = weight
    meta["rope.freqs"] = (1.0 / 10000 ** (torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)).bfloat16()
    return meta


def write_meta(folder, meta, shards, embedding_cut):
    folder.mkdir()
    cuts = {f"{name}.weight": cut for _, name, cut in TABLE} | {"tok_embeddings.weight": embedding_cut}
    for shard in range(shards):
        part = {}
        for name, weight in meta.items():
            cut = cuts.get(name)
            part[name] = weight if cut is None else weight.chunk(shards, cut)[shard].clone()
        torch.save(part, folder / f"consolidated.{shard:02d}.pth")


def write_tokenizer():
    words = "the a one small old cat dog bird ran sat saw and then over under red blue tree house river day night".split()
    text = [" ".join(words[(i * 7 + j * j) % len(words)] for j in range(9)) for i in range(400)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text),
        model_prefix=str(out / "tokenizer"),
        vocab_size=VOCAB,
        model_type="bpe",
        character_coverage=1.0,
        normalization_rule_name="identity",
        num_threads=1,
    )
    (out / "tokenizer.vocab").unlink()
    (out / "text.txt").write_text("\n".join(text[:40]) + "\n")


def main():
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    write_tokenizer()
    (out / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    (out / "params.json").write_text(json.dumps(PARAMS) + "\n")
    state = state_dict()
    meta = meta_state(state)
    for form in ["safetensors", "torch"]:
        (out / form).mkdir()
    save_file(state, out / "safetensors/model.safetensors", metadata={"format": "pt"})
    torch.save(state, out / "torch/pytorch_model.bin")
    for form, safe in [("safetensors-shards", True), ("torch-shards", False)]:
        (out / form).mkdir()
        save_torch_state_dict(state, out / form, max_shard_size=7000, safe_serialization=safe)
    write_meta(out / "meta-1", meta, 1, None)
    write_meta(out / "meta-2", meta, 2, 1)
    write_meta(out / "meta-2-rows", meta, 2, 0)  # as Llama 3 is cut


main()
