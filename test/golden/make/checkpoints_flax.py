"""Writes ../checkpoints/flax and flax-shards: the model of checkpoints.py as transformers saves it for Flax.

    pip install transformers==4.46.3 flax==0.12.8 jax==0.10.2 numpy==2.4.6     # the last transformers with Flax
    python checkpoints_flax.py
"""

import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from transformers import FlaxLlamaForCausalLM, LlamaConfig

checkpoints = Path(__file__).parent.parent / "checkpoints"
raw = (checkpoints / "safetensors/model.safetensors").read_bytes()
length = int.from_bytes(raw[:8], "little")
header = json.loads(raw[8 : 8 + length])


def stored(name):
    begin, end = (8 + length + offset for offset in header[name]["data_offsets"])
    return np.frombuffer(raw[begin:end], ml_dtypes.bfloat16).reshape(header[name]["shape"])


model = FlaxLlamaForCausalLM(LlamaConfig(**json.loads((checkpoints / "config.json").read_text())))
parameters = {}
for path, value in flatten_dict(model.params).items():
    weight = stored(".".join(path[:-1]) + ".weight")
    parameters[path] = jnp.asarray(weight.T if path[-1] == "kernel" else weight)
    assert parameters[path].shape == value.shape
model.params = unflatten_dict(parameters)
for form, size in [("flax", "1GB"), ("flax-shards", "7KB")]:
    shutil.rmtree(checkpoints / form, ignore_errors=True)
    model.save_pretrained(checkpoints / form, max_shard_size=size)
    for name in ["config.json", "generation_config.json"]:
        (checkpoints / form / name).unlink()
