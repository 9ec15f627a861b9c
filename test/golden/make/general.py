"""Writes ../general.json: the general.* keys that llama.cpp's converter gives to made-up models.

    PYTHONPATH=<llama.cpp>/gguf-py python general.py      # llama.cpp 0c1e570 (October 2026), PyYAML

Of each model: the name of its folder, README.md, config.json, generation_config.json, tensors, and the keys with their
types as GGUF numbers them (gguf-py's Metadata.load and set_gguf_meta_model, as conversion/base.py calls them).
"""

import json
import tempfile
from pathlib import Path

import gguf

OUT = Path(__file__).parent.parent / "general.json"
CARD = """---
license: apache-2.0
language:
- en
- zh
- no
library_name: transformers
pipeline_tag: text-generation
tags:
  - chat
  - "quoted: tag"
base_model: Qwen/Qwen2.5-7B
model-index:
- name: x
  results:
  - task:
      type: text-generation
---

# A model
"""
MERGE = """---
base_model:
- mistralai/Mistral-7B-v0.1
- https://huggingface.co/some-org/Other-Model-7B-Chat
- https://example.org/a/b
datasets: [HuggingFaceH4/ultrachat_200k, "local set"]
license: other
license_name: some-license
license_link: https://example.org/LICENSE
model_creator: Some One
model_type: mistral
tags: []
---
"""
MODELS = [
    ("Qwen2.5-7B-Instruct", CARD, {}, {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05}, {"w": [7615616512]}),
    ("my-merge", MERGE, {"_name_or_path": "some-org/Merge-7B-v0.2"}, {"top_p": 0.95}, {"w": [7241732096]}),
    ("Mixtral-8x7B-Instruct-v0.1", None, {}, None,
     {"blk.0.ffn_up_exps.weight": [8, 14336, 131072], "blk.0.attn_q.weight": [4096, 400000]}),
    ("tiny-llama", "no front matter", {"_name_or_path": "/home/somebody/models/x"}, {"do_sample": True}, {"w": [4072448]}),
    ("bloom-7b1", "---\nlicense: bigscience-bloom-rail-1.0\n---", {}, None, {"w": [7069016064]}),
    ("Phi-3-mini-128k-instruct", "---\nlanguage: en\nlicense:\n- mit\n- apache-2.0\n---\n", {}, None, {"w": [3821079552]}),
    ("v1", None, {}, None, {"w": [999]}),
    ("Llama 3 of mine", None, {}, None, {"w": [1235814432]}),
]


def keys(folder, shapes):
    total = shared = expert = count = stacks = 0
    for name, shape in shapes.items():
        size = 1
        for length in shape:
            size *= length
        total += size
        if "_exps." in name:
            expert, count, stacks = expert + size // shape[-3], count + shape[-3], stacks + 1
        else:
            shared += size
    metadata = gguf.Metadata.load(None, folder, None, total)
    if metadata.name is None:
        metadata.name = folder.name
    if metadata.size_label is None and total > 0:
        metadata.size_label = gguf.size_label(total, shared, expert, count // stacks if stacks else 0)
    writer = gguf.GGUFWriter(path=None, arch="llama")
    writer.kv_data[0].clear()
    metadata.set_gguf_meta_model(writer)
    return {key: [value.type.value, value.value] for key, value in writer.kv_data[0].items()}


def main():
    result = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, card, config, generation, tensors in MODELS:
            folder = Path(scratch) / name
            folder.mkdir()
            files = {"README.md": card, "config.json": json.dumps(config), "generation_config.json": generation and json.dumps(generation)}
            for file, text in files.items():
                if text is not None:
                    (folder / file).write_text(text)
            result.append({"name": name, "files": files, "tensors": tensors, "keys": keys(folder, tensors)})
            print(name, result[-1]["keys"])
    OUT.write_text(json.dumps(result, indent=1) + "\n")


main()
