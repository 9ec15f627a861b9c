"""Writes ../checkpoints/llama2c-0 and llama2c-1: the model of checkpoints.py as karpathy/llama2.c exports it.

    python checkpoints_llama2c.py <clone of karpathy/llama2.c>      # commit 350e04f, torch 2.15.0
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[1])
from export import model_export  # noqa: E402
from model import ModelArgs, Transformer  # noqa: E402

checkpoints = Path(__file__).parent.parent / "checkpoints"
state = torch.load(checkpoints / "meta-1/consolidated.00.pth")
for version in (0, 1):
    args = ModelArgs(dim=16, n_layers=2, n_heads=4, n_kv_heads=2, vocab_size=96, hidden_dim=48, max_seq_len=4096)
    model = Transformer(args)
    model.output.weight = torch.nn.Parameter(torch.zeros(96, 16))  # llama2.c would tie it to the embedding
    model.load_state_dict({name: weight.float() for name, weight in state.items() if name != "rope.freqs"})
    folder = checkpoints / f"llama2c-{version}"
    folder.mkdir(exist_ok=True)
    model_export(model, str(folder / "model.bin"), version)
