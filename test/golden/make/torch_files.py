"""Small files written by torch.save and torch.jit.save, and what torch reads back from them.

    pip install torch==2.15.0
    python torch_files.py ../containers
"""

import json
import sys
from pathlib import Path

import torch

out = Path(sys.argv[1])
torch.manual_seed(20261125)

base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5) / 7 - 3
linear = torch.nn.Linear(3, 2)
linear.tied = linear.weight
floats = torch.randn(2, 3, dtype=torch.float64)

contents = {
    "f64": floats,
    "f32": floats.float(),
    "f16": floats.half(),
    "bf16": floats.bfloat16(),
    "i64": torch.arange(5),
    "i32": torch.arange(3, dtype=torch.int32),
    "i16": torch.arange(3, dtype=torch.int16),
    "i8": torch.arange(-1, 2, dtype=torch.int8),
    "u8": torch.arange(3, dtype=torch.uint8),
    "u16": torch.arange(3, dtype=torch.int32).to(torch.uint16),
    "bool": torch.tensor([True, False]),
    "c64": torch.tensor([1 + 2j]),
    "negated": torch.tensor([1 + 2j]).conj().imag,
    "f8": torch.tensor([1.5, -2]).to(torch.float8_e4m3fn),
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 3),
    "ones": torch.full((1, 2, 1), 0.25),
    "whole": base,
    "transposed": base[1].t(),
    "slice": base[1:, 2],
    "columns": base[0, :, 1:3],
    "every_second": base.flatten()[1::2],
    "permuted": base.permute(2, 0, 1),
    "permuted_inside": base.transpose(1, 2),
    "expanded": torch.tensor([1.0]).expand(4),
    "sparse": torch.eye(2).to_sparse(),
    "parameter": torch.nn.Parameter(torch.tensor([1.0, -1.0])),
    "with_attribute": torch.nn.Parameter(torch.tensor([2.0, -2.0])),
    "module": linear.state_dict(),
    "list": [torch.tensor([5.0]), {"deep": torch.tensor([6.0])}, (torch.tensor([7.0]), 8)],
    "values": {
        "int": -7,
        "large": 2**40,
        "huge": 2**70,
        "float": 0.1,
        "text": "zażółć 🙂",
        "yes": True,
        "none": None,
        "size": torch.Size([2, 3]),
        "dtype": torch.bfloat16,
        "device": torch.device("cpu"),
        "set": {1, 2},
        "bytes": b"\x00\xff",
        "complex": 1 + 2j,
    },
    7: torch.tensor([9.0]),
}
contents["with_attribute"].mark = "x"


def tensors(value, name):
    """Every tensor with its path, as llq names it."""
    if isinstance(value, torch.Tensor):
        yield name, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else []
    for key, item in items:
        yield from tensors(item, f"{name}.{key}" if name else str(key))


path = out / "torch.pt"
torch.save(contents, path)
expected = {}
for name, tensor in tensors(torch.load(path, weights_only=True), ""):
    values = None
    if tensor.dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16) and not tensor.is_sparse:
        values = tensor.detach().float().resolve_neg().contiguous().flatten().view(torch.int32)
        values = [f"{bits & 0xFFFFFFFF:08x}" for bits in values.tolist()]
    stored = None
    if values is None and not tensor.is_sparse:
        stored = bytes(tensor.contiguous().view(torch.uint8).flatten().tolist()).hex()
    expected[name] = [str(tensor.dtype), list(tensor.shape), values, stored]
(out / "torch.json").write_text(json.dumps(expected, indent=1) + "\n")

# The same state dict in forms that llq refuses.
state = linear.state_dict()
torch.save(state, out / "torch-legacy.pt", _use_new_zipfile_serialization=False)
torch.save(state, out / "torch-protocol-4.pt", pickle_protocol=4)
torch.jit.save(torch.jit.script(linear), out / "torch-script.pt")
with torch.serialization.skip_data():
    torch.save(state, out / "torch-skipped.pt")
