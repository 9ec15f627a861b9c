"""Small files written by the reference libraries, and what those read back from them.

    pip install gguf==0.19.0 safetensors==0.8.0 numpy
    python containers.py ../containers
"""

import json
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, quants
from safetensors.numpy import load_file, save_file

out = Path(sys.argv[1])
out.mkdir(exist_ok=True)


def weights(*shape):
    return (np.arange(np.prod(shape)).reshape(shape) % 251 / 125 - 1).astype(np.float32)


def write_gguf(path):
    w = GGUFWriter(path, "llama")
    w.add_custom_alignment(64)
    w.add_uint8("t.u8", 200)
    w.add_int8("t.i8", -100)
    w.add_uint16("t.u16", 60000)
    w.add_int16("t.i16", -30000)
    w.add_uint32("t.u32", 4000000000)
    w.add_int32("t.i32", -2000000000)
    w.add_float32("t.f32", 0.1)
    w.add_bool("t.bool", True)
    w.add_string("t.string", "zażółć 🙂")
    w.add_uint64("t.u64", 2**63 + 1)
    w.add_int64("t.i64", -(2**62))
    w.add_float64("t.f64", 0.1)
    w.add_array("t.strings", ["<s>", "▁a", "\ufeff", ""])
    w.add_array("t.f32s", [0.5, -1.25])
    w.add_array("t.i32s", [1, -2, 3])
    w.add_array("t.bools", [True, False])
    w.add_tensor("f32", weights(2, 3))
    w.add_tensor("f16", weights(5).astype(np.float16))
    for name, shape in [("BF16", (3, 4)), ("Q8_0", (2, 64)), ("Q4_0", (2, 3, 32))]:
        kind = GGMLQuantizationType[name]
        w.add_tensor(name.lower(), quants.quantize(weights(*shape), kind), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def describe_gguf(path):
    r = GGUFReader(path)
    fields = [[key, f.types[0].name, f.contents()] for key, f in r.fields.items() if not key.startswith("GGUF.")]
    tensors = [
        [t.name, t.tensor_type.name, [int(n) for n in reversed(t.shape)], int(t.data_offset), int(t.n_bytes)]
        for t in r.tensors
    ]
    return {"fields": [[k, t, str(v) if "64" in t and "INT" in t else v] for k, t, v in fields], "tensors": tensors}


def write_safetensors(path):
    tensors = {
        "b.weight": weights(3, 2),
        "a.weight": weights(4).astype(np.float16),
        "scalar": np.array(3.5, np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "mask": np.ones((3,), bool),
        "position_ids": np.arange(5),
    }
    save_file(tensors, path, metadata={"format": "np", "note": "zażółć"})


def describe_safetensors(path):
    return {name: [str(t.dtype), list(t.shape), t.tobytes().hex()] for name, t in sorted(load_file(path).items())}


write_gguf(out / "gguf-py.gguf")
write_safetensors(out / "python.safetensors")
for name, value in [
    ("gguf-py", describe_gguf(out / "gguf-py.gguf")),
    ("python", describe_safetensors(out / "python.safetensors")),
]:
    (out / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
