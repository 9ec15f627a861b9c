"""Runs the modelling files that publishers put beside their weights. They are read, not kept: `code` is their folder.

Written for transformers 4.2x to 4.3x; run here with 4.41.2, whose changes that matter are undone in `_mend`.
"""

import importlib.util
import sys
import types
from pathlib import Path

import torch


def _import(folder, package, name):
    """folder/name.py as package.name, so that its imports of neighbours work; no auto_map, no network."""
    if package not in sys.modules:
        parent = types.ModuleType(package)
        parent.__path__ = [str(folder)]
        sys.modules[package] = parent
    full = f"{package}.{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


def _mend():
    # Baichuan-7B's file wants xformers, which it uses only where training is fast with it.
    xformers = types.ModuleType("xformers")
    xformers.ops = types.ModuleType("xformers.ops")
    sys.modules.setdefault("xformers", xformers)
    sys.modules.setdefault("xformers.ops", xformers.ops)


def load(code, name, spec, config):
    _mend()
    folder_name, class_name = spec.split()
    folder, package = Path(code) / folder_name, folder_name.replace("-", "_")
    modelling = next(path.stem for path in folder.glob("modeling_*.py"))
    module = _import(folder, package, modelling)
    model_class = getattr(module, class_name)
    parsed = model_class.config_class(**config)
    parsed._attn_implementation = "eager"
    torch.set_default_dtype(torch.float32)
    arguments = {"empty_init": False} if "chatglm" in folder_name else {}
    model = model_class(parsed, **arguments).float().eval()
    MODELS.get(name, lambda _: None)(model)
    return model


def _divide_positions(model):
    """ChatGLM2-6B-32k: the numbers of positions are divided by rope_ratio. Written here; the file at hand has no such field."""
    rotary, ratio = model.transformer.rotary_pos_emb, model.config.rope_ratio

    def forward(length, offset=0):
        frequencies = 10000.0 ** (-torch.arange(0, rotary.dim, 2, dtype=torch.float64) / rotary.dim)
        angles = torch.outer(torch.arange(length, dtype=torch.float64) / ratio, frequencies)
        return torch.stack([angles.cos(), angles.sin()], dim=-1)

    rotary.forward = forward


def _mend_chatglm(model):
    """The head is the embedding, as in the published checkpoint; RoPE's frequencies are not rounded to f16."""
    model.lm_head.weight = model.transformer.word_embeddings.weight
    for layer in model.transformer.layers:
        rotary = layer.attention.rotary_emb
        rotary.inv_freq = 10000.0 ** (-torch.arange(0, 2 * len(rotary.inv_freq), 2) / (2 * len(rotary.inv_freq)))
        rotary.precision = torch.float32


MODELS = {"chatglm": _mend_chatglm, "chatglm2-32k": _divide_positions}
