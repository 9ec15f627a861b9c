"""The classes of families_2026.py: a config, who reads it, and how its texts become tokens (see families_table.py)."""

from importlib import import_module

GROUPS = ["delta", "mamba", "mla", "dense", "experts", "gemma", "wrappers", "kimi", "variants", "publishers", "others", "packed"]
FAMILIES = {}
for group in GROUPS:
    FAMILIES |= import_module(f"{__name__}.{group}").FAMILIES
