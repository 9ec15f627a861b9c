"""Writes ../containers/flax.msgpack with Flax, and flax.json with what Flax reads back from it.

    pip install flax==0.12.8 jax==0.10.2 numpy==2.4.6 msgpack==1.2.4
    python flax_arrays.py

One array is above the size that Flax writes in one piece, which is made small for it.
"""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import serialization

out = Path(__file__).parent.parent / "containers"
serialization.MAX_CHUNK_SIZE = 100


def weights(*shape, dtype):
    return jnp.asarray(np.arange(np.prod(shape)).reshape(shape) % 251 / 125 - 1, dtype)


tree = {
    "model": {
        "embed_tokens": {"embedding": weights(5, 4, dtype=jnp.float32)},
        "layers": {
            "0": {"mlp": {"up_proj": {"kernel": weights(4, 6, dtype=jnp.bfloat16)}}},
            "10": {"mlp": {"up_proj": {"kernel": weights(4, 6, dtype=jnp.float16)}}},
            "2": {"mlp": {"up_proj": {"kernel": weights(7, 11, dtype=jnp.float32)}}},
        },
        "norm": {"weight": np.linspace(-1, 1, 3)},
    },
    "ids": np.arange(4, dtype=np.int32),
    "step": 17,
    "rate": np.float32(0.5),
    "none": np.zeros((0, 3), np.float32),
}
encoded = serialization.to_bytes(tree)
(out / "flax.msgpack").write_bytes(encoded)


def leaves(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}/")
        elif isinstance(value, np.ndarray):
            yield prefix + key, [value.dtype.name, list(value.shape), value.tobytes().hex()]


arrays = dict(leaves(serialization.msgpack_restore(encoded)))
(out / "flax.json").write_text(json.dumps(arrays, indent=1) + "\n")
