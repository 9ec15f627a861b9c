"""What transformers says of the first questions of MMLU, for samples/tiny-llama: ln p of every letter, in float32.

usage: python mmlu.py samples/tiny-llama <MMLU's folder, with dev/ and test/> > test/golden/choice/mmlu-anatomy.json
"""

import csv
import json
import sys
from pathlib import Path

import torch
import transformers

SUBJECT = "anatomy"
RUNS = [(0, 20), (1, 20)]  # shots, questions


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def asked(row):
    options = "".join(f"\n{letter}. {row[f'choice{i}']}" for i, letter in enumerate("ABCD"))
    return f"{row['question']}{options}\nAnswer:"


def main(folder, data):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    dev, test = (rows(data / part / f"{SUBJECT}_{part}.csv") for part in ("dev", "test"))
    found = {}
    for shots, count in RUNS:
        head = f"The following are multiple choice questions (with answers) about {SUBJECT}.\n\n"
        head += "".join(f"{asked(row)} {'ABCD'[int(row['answer'])]}\n\n" for row in dev[:shots])
        found[f"{shots} shots"] = lines = []
        for row in test[:count]:
            prompts = [tokenizer(f"{head}{asked(row)} {letter}")["input_ids"] for letter in "ABCD"]
            if max(map(len, prompts)) > model.config.max_position_embeddings:
                lines.append(None)
                continue
            # The letters differ in their last token alone.
            assert len({tuple(prompt[:-1]) for prompt in prompts}) == 1
            with torch.no_grad():
                logs = torch.log_softmax(model(torch.tensor([prompts[0][:-1]])).logits[0, -1], dim=-1)
            lines.append([round(logs[prompt[-1]].item(), 6) for prompt in prompts])
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    print("{" + f'"versions": {json.dumps(versions)},')
    print(",\n".join(f"{json.dumps(name)}: {json.dumps(lines)}" for name, lines in found.items()) + "}")


main(Path(sys.argv[1]), Path(sys.argv[2]))
