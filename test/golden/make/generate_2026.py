"""Writes generate.json beside the reference.json of families_2026.py: how transformers' generate() goes on, greedily.

usage: generate_2026.py [family ...]

What is written is as in generate.py; the model is the checkpoint itself, in f32. The prompt is the first 16 tokens of
reference.json, 64 are new, and no token ends the text.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

OUT = Path(__file__).parent.parent / "families"
NEW, PROMPT = 64, 16


def load(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


@torch.no_grad()
def main(name):
    folder = OUT / name
    tokens = json.loads((folder / "reference.json").read_text())["tokens"]
    model = load(folder)
    prompt = torch.tensor([tokens[:PROMPT]])
    options = {"eos_token_id": None, "pad_token_id": 0, "output_scores": True, "return_dict_in_generate": True}
    made = model.generate(prompt, max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False, **options)
    scores = torch.stack([score[0] for score in made.scores]).double()
    new = made.sequences[0, PROMPT:]
    best = scores.topk(2).values
    said = scores.log_softmax(-1)[torch.arange(NEW), new]
    # One pass over the whole text says the same.
    whole = model(made.sequences).logits[0, PROMPT - 1 : -1].double().log_softmax(-1)
    assert (whole[torch.arange(NEW), new] - said).abs().max() < 1e-4, name
    text = json.dumps(
        {
            "prompt": prompt[0].tolist(),
            "tokens": new.tolist(),
            "logprobs": said.tolist(),
            "minMargin": (best[:, 0] - best[:, 1]).min().item(),
        }
    )
    (folder / "generate.json").write_text(text + "\n")
    print(name, "margin", (best[:, 0] - best[:, 1]).min().item())


for each in sys.argv[1:] or sorted(path.parent.name for path in OUT.glob("*/reference.json")):
    if (OUT / each / "generate.json").exists() and each not in sys.argv[1:]:
        continue
    try:
        main(each)
    except Exception as error:
        print(each, "failed:", type(error).__name__, str(error)[:200])
