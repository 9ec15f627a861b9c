"""Writes test/golden/config-defaults.json: what the classes of test/golden/families take for fields that a config.json lacks.

usage: config_defaults.py <families> <output.json>
"""

import dataclasses
import json
import re
import sys
from pathlib import Path

from transformers.models.auto.configuration_auto import CONFIG_MAPPING

# Of training, and of what is no part of a decoder's layers.
LEFT_OUT = re.compile(r"dropout|pdrop|_token_id$|initializer|use_cache|output_|return_dict|chunk_size|encoder|aux_loss|jitter")


def main():
    families, output = map(Path, sys.argv[1:])
    types = {json.loads(path.read_text()).get("model_type") for path in families.glob("*/config.json")}
    defaults = {}
    for name in sorted(each for each in types if each in CONFIG_MAPPING):
        fields = dataclasses.fields(CONFIG_MAPPING[name])
        names = CONFIG_MAPPING[name].attribute_map
        own = {field.name: field.default for field in fields if type(field.default) in (bool, int, float, str)}
        # By the name that save_pretrained writes, too.
        own.update({alias: own[field] for alias, field in names.items() if field in own})
        defaults[name] = {key: value for key, value in sorted(own.items()) if not LEFT_OUT.search(key)}
    lines = [f"{json.dumps(name)}: {json.dumps(fields)}" for name, fields in defaults.items()]
    output.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
