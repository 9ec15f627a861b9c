"""Writes test/golden/bias-flags.json: which parameters transformers' models gain and lose when a flag of biases is turned.

usage: bias_flags.py <families> <output.json>
"""

import json
import re
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

FLAG = re.compile(r"(^|_)bias$")
NOT_OF_THE_DECODER = re.compile(r"projector|projectors|expert_bias|init_bias")


def parameters(config):
    with torch.device("meta"):
        for auto in (AutoModelForCausalLM, AutoModelForImageTextToText, AutoModel):
            try:
                model = auto.from_config(config)
                break
            except ValueError:
                continue
    # Buffers such as the biases of routers are saved too.
    return {name: list(value.shape) for name, value in model.state_dict().items()}


def main():
    families, output = map(Path, sys.argv[1:])
    found = {}
    for path in sorted(families.glob("*/config.json")):
        whole = json.loads(path.read_text())
        own = whole.get("text_config", whole)
        if not isinstance(own, dict) or whole.get("model_type") not in CONFIG_MAPPING:
            continue
        flags = {}
        with safe_open(path.parent / "model.safetensors", "pt") as file:
            is_old = any(name.startswith("backbone.") for name in file.keys())

        def stored(name):
            return re.sub("^model[.]", "backbone.", name) if is_old else name

        for flag, value in own.items():
            if type(value) is not bool or not FLAG.search(flag) or NOT_OF_THE_DECODER.search(flag):
                continue
            try:
                def of(value):
                    # A tuple in Python; no parameter depends on it.
                    changed = {key: each for key, each in own.items() if key != "time_step_limit"} | {flag: value}
                    given = {**whole, "text_config": changed} if own is not whole else changed
                    return parameters(CONFIG_MAPPING[whole["model_type"]](**given))

                before, after = of(value), of(not value)
            except Exception as error:
                print(f"{path.parent.name} {flag}: {type(error).__name__} {str(error)[:100]}", file=sys.stderr)
                continue
            flags[flag] = {
                "added": {stored(name): shape for name, shape in after.items() if name not in before},
                "removed": [stored(name) for name in before if name not in after],
            }
        if flags:
            found[path.parent.name] = flags
    lines = [f"{json.dumps(name)}: {json.dumps(flags)}" for name, flags in found.items()]
    output.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
