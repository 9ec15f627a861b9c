"""Writes test/golden/transformers-classes.json: the classes that transformers' auto classes know for text that goes on.

usage: class_names.py <output.json>
"""

import json
import sys
from pathlib import Path

from transformers.models.auto import modeling_auto

MAPPINGS = ["MODEL_FOR_CAUSAL_LM", "MODEL_FOR_IMAGE_TEXT_TO_TEXT", "MODEL_FOR_MULTIMODAL_LM", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM"]


def main():
    names = set()
    for mapping in MAPPINGS:
        for value in getattr(modeling_auto, f"{mapping}_MAPPING_NAMES", {}).values():
            names.update([value] if isinstance(value, str) else value)
    Path(sys.argv[1]).write_text(json.dumps(sorted(names), indent=2) + "\n")


if __name__ == "__main__":
    main()
