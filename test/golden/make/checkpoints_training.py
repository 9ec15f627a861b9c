"""Writes ../checkpoints/torch-state-dict and torch-model: the same model as a part of a training checkpoint.

    python checkpoints_training.py      # torch 2.15.0

From ../checkpoints/torch/pytorch_model.bin; by DistributedDataParallel's names in torch-state-dict.
"""

from pathlib import Path

import torch

OUT = Path(__file__).parent.parent / "checkpoints"


def main():
    state = torch.load(OUT / "torch" / "pytorch_model.bin")
    optimizer = {"state": {0: {"step": torch.tensor(7.0), "exp_avg": torch.ones(4, 4)}}, "param_groups": [{"lr": 1e-4}]}
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    for form, whole in {"torch-state-dict": {"state_dict": wrapped, "optimizer": optimizer, "epoch": 3},
                        "torch-model": {"model": state, "optimizer": optimizer, "step": 7}}.items():
        (OUT / form).mkdir(exist_ok=True)
        torch.save(whole, OUT / form / "pytorch_model.bin")


main()
