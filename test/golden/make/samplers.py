"""Writes test/golden/generate/samplers.json: what transformers' samplers make of some logits.

usage: samplers.py        (transformers 5.24.0, torch 2.15.0)

The order is that of transformers' generate(): repetition penalty (of every token of `previous`, once however often it
stands there), temperature, top-k, top-p, min-p; a parameter left out is not applied. The cutoffs of top-p and min-p are
so of the probabilities that the steps before have left. Logits are random, rounded to five places, computed with in
f64; `probabilities` is the softmax of what remains, [id, probability] of every token whose probability is not 0, by id.
No two logits are equal, and where top-p cuts no sum comes within 1e-4 of it.
"""

import json
from pathlib import Path

import torch
import transformers
from transformers.generation import logits_process as process

VOCABULARY = 50
OUT = Path(__file__).resolve().parent.parent / "generate" / "samplers.json"
CASES = [
    {},
    {"temperature": 0.7},
    {"temperature": 1.8},
    {"temperature": 0.05},
    {"topK": 1},
    {"topK": 5},
    {"topK": 80},
    {"topP": 0.9},
    {"topP": 0.5},
    {"topP": 0.01},
    {"minP": 0.05},
    {"minP": 0.5},
    {"minP": 1.0},
    {"repetitionPenalty": 1.3},
    {"repetitionPenalty": 0.7},
    {"temperature": 0.8, "topK": 10},
    {"temperature": 0.8, "topP": 0.95},
    {"temperature": 2.0, "minP": 0.1},
    {"temperature": 0.6, "topK": 20, "topP": 0.8},
    {"topK": 8, "topP": 0.6},
    {"temperature": 1.5, "topK": 30, "topP": 0.9, "minP": 0.1},
    {"repetitionPenalty": 1.1, "temperature": 0.9, "topK": 40, "topP": 0.95, "minP": 0.05},
    {"repetitionPenalty": 2.0, "temperature": 0.7, "topP": 0.7},
]
STEPS = {
    "repetitionPenalty": process.RepetitionPenaltyLogitsProcessor,
    "temperature": process.TemperatureLogitsWarper,
    "topK": process.TopKLogitsWarper,
    "topP": process.TopPLogitsWarper,
    "minP": process.MinPLogitsWarper,
}


def main():
    generator = torch.Generator().manual_seed(12)
    rows = []
    for i, parameters in enumerate(CASES):
        spread = 1.5 if i % 3 else 3.0
        logits = [round(x, 5) for x in (spread * torch.randn(VOCABULARY, generator=generator)).tolist()]
        assert len(set(logits)) == VOCABULARY
        previous = torch.randint(VOCABULARY, (12,), generator=generator).tolist()
        scores = torch.tensor([logits], dtype=torch.float64)
        for name, step in STEPS.items():
            if name == "topP" and name in parameters:
                sums = torch.softmax(scores, -1)[0].sort(descending=True).values.cumsum(0)
                assert (sums - parameters[name]).abs().min() > 1e-4
            if name in parameters:
                scores = step(parameters[name])(torch.tensor([previous]), scores)
        kept = torch.softmax(scores, -1)[0].tolist()
        row = {**parameters, "previous": previous, "logits": logits}
        row["probabilities"] = [[i, float(f"{p:.12g}")] for i, p in enumerate(kept) if p > 0]
        rows.append(json.dumps(row))
        print(parameters, len(row["probabilities"]))
    versions = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    OUT.write_text(f'{{"madeBy": "{versions}", "cases": [\n' + ",\n".join(rows) + "\n]}\n")


main()
