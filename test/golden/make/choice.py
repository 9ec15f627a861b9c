"""What transformers says of the questions in test/golden/choice, for samples/tiny-llama: ln p of every ending.

The prompts are written here once more, after the papers' and the evaluation harness's descriptions. Stored weights
(BF16), arithmetic in f64. A token that spans the end of the prompt belongs to the ending.

usage: python choice.py samples/tiny-llama test/golden/choice > test/golden/choice/tiny-llama.json
"""

import csv
import json
import re
import sys
from pathlib import Path

import torch
import transformers

LETTERS = "ABCD"


def table(path, names=None):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, names))


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def lettered(question, options, cue="Answer:"):
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options))
    prompt = f"{question}\n{listed}\n{cue}"
    return [(prompt, f" {letter}") for letter in LETTERS]


def clean(text):
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def mmlu_header(subject):
    return f"The following are multiple choice questions (with answers) about {subject}.\n\n"


def ceval_header(subject):
    return f"以下是中国关于{subject}考试的单项选择题，请选出其中的正确答案。\n\n"


def cmmlu_header(subject):
    return f"以下是关于{subject}的单项选择题，请直接给出正确答案的选项。\n\n"


def with_header(header, options):
    return [(header + prompt, ending) for prompt, ending in options]


def mmlu(folder, shots):
    header = mmlu_header("mmlu")
    for row in table(folder / "mmlu_dev.csv")[:shots]:
        prompt, ending = lettered(row["question"], [row[f"choice{i}"] for i in range(4)])[int(row["answer"])]
        header += prompt + ending + "\n\n"
    rows = table(folder / "mmlu.csv", ["question", *LETTERS, "answer"])
    return [with_header(header, lettered(row["question"], [row[c] for c in LETTERS])) for row in rows]


def chinese(path, key, make_header):
    header = make_header(path.stem)
    return [
        with_header(header, lettered(row[key], [row[c] for c in LETTERS], "答案："))
        for row in table(path)
    ]


def arc(row):
    question = row["question"]
    if isinstance(question, dict):
        texts = [choice["text"] for choice in question["choices"]]
        question = question["stem"]
    else:
        texts = row["choices"]["text"]
    return [(f"Question: {question}\nAnswer:", " " + text) for text in texts]


def hellaswag(row):
    prompt = clean(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}")
    return [(prompt, " " + clean(ending)) for ending in row["endings"]]


def winogrande(row):
    before, after = row["sentence"].split("_")
    return [(before + row[option], " " + after.strip()) for option in ("option1", "option2")]


def boolq(row):
    prompt = f"{row['passage']}\nQuestion: {row['question']}?\nAnswer:"
    return [(prompt, " no"), (prompt, " yes")]


def main(folder, data):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager"
    )

    def score(prompt, ending):
        before = tokenizer(prompt)["input_ids"]
        tokens = tokenizer(prompt + ending)["input_ids"]
        start = next((i for i, t in enumerate(before) if tokens[i : i + 1] != [t]), len(before))
        with torch.no_grad():
            logs = torch.log_softmax(model(torch.tensor([tokens])).logits[0].double(), dim=-1)
        return round(sum(logs[i - 1, tokens[i]].item() for i in range(start, len(tokens))), 7), len(tokens) - start

    files = {
        "mmlu.csv": mmlu(data, 0),
        "mmlu.csv, 2 shots": mmlu(data, 2),
        "ceval.csv": chinese(data / "ceval.csv", "question", ceval_header),
        "cmmlu.csv": chinese(data / "cmmlu.csv", "Question", cmmlu_header),
    }
    for name, read in [
        ("arc", arc),
        ("arc-hf", arc),
        ("hellaswag", hellaswag),
        ("winogrande", winogrande),
        ("boolq", boolq),
    ]:
        files[f"{name}.jsonl"] = [read(row) for row in lines(data / f"{name}.jsonl")]
    print('{"versions": ' + json.dumps({"transformers": transformers.__version__, "torch": torch.__version__}) + ",")
    rows = []
    for name, questions in files.items():
        scored = [[score(*option) for option in options] for options in questions]
        rows.append(
            f" {json.dumps(name)}: "
            + json.dumps([{"logLikelihoods": [s for s, _ in q], "tokens": [n for _, n in q]} for q in scored])
        )
    print(",\n".join(rows) + "}")


main(Path(sys.argv[1]), Path(sys.argv[2]))
