"""Writes test/golden/containers/big-endian.gguf and .json, and test/golden/checkpoints/gguf-big-endian/model.gguf.

usage: big_endian.py <llama.cpp>      (needs Python with llama.cpp's requirements)

The first has a tensor of every type that gguf_convert_endian.py turns, of random bytes, written by gguf-py's GGUFWriter as
little-endian and turned by that script; the JSON has the bytes before. The second is checkpoints/gguf turned.
"""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1] + "/gguf-py")
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter

golden = Path(__file__).parent.parent
TURN = sys.argv[1] + "/gguf-py/gguf/scripts/gguf_convert_endian.py"


def turn(path):
    subprocess.run([sys.executable, TURN, path, "big"], input=b"YES\n", check=True, capture_output=True)


rng = random.Random(20261130)
path = golden / "containers/big-endian.gguf"
w = GGUFWriter(path, "llama")
w.add_uint8("t.u8", 200)
w.add_int16("t.i16", -30000)
w.add_uint32("t.u32", 4000000001)
w.add_float32("t.f32", 0.1)
w.add_bool("t.bool", True)
w.add_string("t.string", "zażółć 🙂")
w.add_uint64("t.u64", 2**63 + 1)
w.add_int64("t.i64", -(2**62) + 5)
w.add_float64("t.f64", 0.1)
w.add_array("t.strings", ["<s>", "▁a", "\ufeff", ""])
w.add_array("t.f32s", [0.5, -1.25])
w.add_array("t.i32s", [1, -2, 3])
w.add_array("t.bools", [True, False])
stored = {}
for name in ["F32", "F16", "BF16", "Q1_0", "Q4_0", "Q8_0", "Q4_K", "Q6_K", "TQ2_0", "MXFP4", "NVFP4"]:
    kind = GGMLQuantizationType[name]
    size = GGML_QUANT_SIZES[kind][1]
    data = np.array([[rng.randrange(256) for _ in range(2 * size)] for _ in range(3)], dtype=np.uint8)
    if name in ("F32", "F16"):
        data = np.array([[rng.uniform(-1, 1) for _ in range(2)] for _ in range(3)]).astype({"F32": np.float32, "F16": np.float16}[name])
        w.add_tensor(name.lower(), data)
    else:
        w.add_tensor(name.lower(), data, raw_dtype=kind)
    stored[name.lower()] = data.tobytes().hex()
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
turn(path)
(golden / "containers/big-endian.json").write_text(json.dumps(stored, indent=1) + "\n")

model = golden / "checkpoints/gguf-big-endian/model.gguf"
model.parent.mkdir(exist_ok=True)
shutil.copy(golden / "checkpoints/gguf/model.gguf", model)
turn(model)
