"""Numbers that the checkpoints share: few and small, but no two lengths equal where a mistake could hide behind it."""

SIZES = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2, "max_position_embeddings": 512}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
LLAMA = {**SIZES, **HEADS, "intermediate_size": 64, "rms_norm_eps": 1e-5}
WINDOW = 12


def rope(theta=10000.0, **scaling):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **scaling}}


def model(name, model_type, tokenizer="qwen2", bos=False, more=None, **config):
    """`more` may hold `spread`, `seed`, and whatever families_2026.py reads of an entry."""
    return {"class": name, "tokenizer": tokenizer, "bos": bos, "config": {"model_type": model_type, **config}, **(more or {})}
