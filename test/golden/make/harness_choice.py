"""Multiple choice by lm-evaluation-harness 0.4.13 over transformers, for samples/tiny-llama, in float32.

Reads the questions in test/golden/harness/choice-questions.json and asks each task as the harness has it, with its own
data replaced by them. Of each question: log-likelihoods, whether each continuation is what the model would say, and the
task's metrics. A limited context stands for questions that are longer than it.

usage: python harness_choice.py samples/tiny-llama test/golden/harness > test/golden/harness/choice.json
"""

import json
import logging
import os
import sys
from pathlib import Path

os.environ["HF_DATASETS_OFFLINE"] = "1"
import datasets
import lm_eval
import lm_eval.api.task
import torch
import transformers
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

logging.disable(logging.WARNING)
torch.set_num_threads(1)
SPLITS = ("train", "validation", "val", "dev", "test")
# the harness' task, the questions it gets, shots, tokens of context (None: the model's)
RUNS = [
    ("mmlu_anatomy", "mmlu", 0, None),
    ("mmlu_anatomy", "mmlu", 2, None),
    ("ceval-valid_law", "ceval", 0, None),
    ("ceval-valid_law", "ceval", 2, None),
    ("cmmlu_anatomy", "cmmlu", 1, None),
    ("arc_easy", "arc", 0, None),
    ("arc_easy", "arc", 2, None),
    ("hellaswag", "hellaswag", 0, None),
    ("hellaswag", "hellaswag", 1, None),
    ("hellaswag", "hellaswag", 1, 48),
    ("winogrande", "winogrande", 0, None),
    ("winogrande", "winogrande", 2, None),
    ("boolq", "boolq", 0, None),
    ("boolq", "boolq", 1, 32),
    ("piqa", "piqa", 0, None),
    ("piqa", "piqa", 3, None),
    ("lambada_openai", "lambada", 0, None),
    ("truthfulqa_mc1", "truthfulqa", 0, None),
    ("truthfulqa_mc2", "truthfulqa", 0, None),
]


def ask(lm, manager, task, questions, shots, context):
    rows = {split: datasets.Dataset.from_list(questions["test"]) for split in ("validation", "val", "test")}
    rows |= {split: datasets.Dataset.from_list(questions.get("train", questions["test"])) for split in ("train", "dev")}
    lm_eval.api.task.datasets.load_dataset = lambda **_: datasets.DatasetDict(rows)
    lm._max_length = context
    found = lm_eval.simple_evaluate(
        lm, tasks=[task], num_fewshot=shots, bootstrap_iters=0, log_samples=True, task_manager=manager
    )
    metrics = {
        key.split(",")[0]: value
        for key, value in found["results"][task].items()
        if isinstance(value, float) and "stderr" not in key
    }
    return {
        "metrics": metrics,
        "questions": [
            {
                "logLikelihoods": [round(float(each[0][0]), 6) for each in sample["resps"]],
                "greedy": [bool(each[0][1]) for each in sample["resps"]],
                "metrics": {name: float(sample[name]) for name in sample["metrics"]},
            }
            for sample in sorted(found["samples"][task], key=lambda sample: sample["doc_id"])
        ],
    }


def main(model, folder):
    questions = json.loads((folder / "choice-questions.json").read_text(encoding="utf-8"))
    lm = HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=1)
    manager = TaskManager()
    versions = {"lm_eval": lm_eval.__version__, "transformers": transformers.__version__, "torch": torch.__version__}
    runs = []
    for task, name, shots, context in RUNS:
        found = ask(lm, manager, task, questions[name], shots, context)
        runs.append({"task": task, "data": name, "shots": shots, "context": context, **found})
    print('{"versions": ' + json.dumps(versions) + ',\n"runs": [')
    print(",\n".join(json.dumps(run, ensure_ascii=False) for run in runs))
    print("]}")


main(Path(sys.argv[1]), Path(sys.argv[2]))
