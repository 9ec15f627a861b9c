"""Written answers by lm-evaluation-harness 0.4.13 over transformers, for samples/tiny-llama, in float32.

Makes up questions in the published forms (written-questions.json), has the harness ask its own tasks with them, and notes
of each question the hash of the prompt, the ids generated (greedy), the text, and the task's filtered answers and scores.
Then it has the harness judge texts that no model wrote (ANSWERS), so that every way of reading an answer occurs. Code is
never executed: HumanEval's metric is left out.

usage: python harness_written.py samples/tiny-llama test/golden/harness   (writes written-questions.json, written.json)
Another model, as a folder or a GGUF of floats, goes to a folder of one's own, for test/golden/compare-written.mjs; a number
behind it limits the questions of each run.
"""

import hashlib
import json
import logging
import os
import sys
from pathlib import Path

os.environ["HF_DATASETS_OFFLINE"] = "1"
import datasets
import evaluate
import lm_eval
import lm_eval.api.task
import torch
import transformers
from gguf import GGUFReader
from lm_eval.api.model import LM
from lm_eval.api.samplers import FirstNSampler
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager, get_task_dict
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

logging.disable(logging.WARNING)
torch.set_num_threads(1)
NAMES = ["Lily", "Tom", "Anna", "Ben", "Mia", "Sam", "Sue", "Max"]
THINGS = ["apples", "red balls", "toy cars", "books", "flowers"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '[' + m.role + '] ' + m.content + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}"
)
MAX_TOKENS = 24


def gsm8k(i):
    a, b, thing = NAMES[i % 8], NAMES[(i * 3 + 1) % 8], THINGS[i % 5]
    n, m = 3 + i * 7 % 60, 2 + i * 11 % 40
    return {
        "question": f"{a} has {n} {thing}. {b} gives {a} {m} more. How many {thing} has {a} now?",
        "answer": f"{a} has {n} + {m} = <<{n}+{m}={n + m}>>{n + m} {thing}.\n#### {n + m}",
    }


def boolean(i):
    text = ["True and not False", "not ( True or False )", "False or not not True", "not False and False"][i % 4]
    text = f"( {text} ) {['and', 'or'][i // 4 % 2]} {['True', 'not True', 'False'][i % 3]}"
    return {"input": f"{text} is", "target": str(eval(text))}


def trivia(i):
    rows = [
        ("Which animal says moo?", ["Cow", "The cow", "A cow"]), ("What do bees make?", ["Honey", "Bee honey"]),
        ("What colour is snow?", ["White"]), ("Who wrote Hamlet?", ["William Shakespeare", "Shakespeare"]),
        ("What is the capital of France?", ["Paris", "Paris, France"]), ("What is frozen water called?", ["Ice"]),
        ("Which planet do we live on?", ["Earth", "The Earth"]), ("How many legs has a spider?", ["Eight", "8"]),
        ("What is the biggest ocean?", ["The Pacific", "Pacific Ocean"]), ("What do cows drink?", ["Water"]),
    ]
    question, aliases = rows[i % 10]
    question = question if i < 10 else "Tell me: " + question[0].lower() + question[1:]
    value = aliases[0]
    return {"question_id": f"q{i}", "question": question, "answer": {"aliases": aliases, "value": value,
            "normalized_aliases": [each.lower() for each in aliases], "normalized_value": value.lower()}}


def mathematics(i):
    n = i + 2
    rows = [
        (f"What is ${n} + {n}$?", f"We add: ${n}+{n}=\\boxed{{{2 * n}}}.$"),
        (f"Simplify $\\frac{{{n}}}{{{2 * n}}}$.", f"Both are divided by {n}: $\\boxed{{\\frac{{1}}{{2}}}}$."),
        (f"What is the root of ${n * n * 3}$?", f"It is $\\boxed{{{n}\\sqrt{{3}}}}$ as $3 \\cdot {n}^2 = {n * n * 3}.$"),
        (f"A side is ${n}$ and the other ${n + 1}$. What is the area?", f"The area is $\\boxed {n * (n + 1)}$."),
    ]
    problem, solution = rows[i % 4]
    return {"problem": problem, "level": f"Level {1 + i % 5}", "type": "Algebra", "solution": solution}


def code(i):
    name = ["add", "twice", "first", "is_even", "join"][i % 5] + str(i // 5)
    args, doc, body = [
        ("a, b", "The sum of a and b.", "return a + b"), ("x", "Two times x.", "return 2 * x"),
        ("items", "The first of items.", "return items[0]"), ("n", "Whether n is even.", "return n % 2 == 0"),
        ("words", "All words, with a space between.", 'return " ".join(words)'),
    ][i % 5]
    return {
        "task_id": f"Made/{i}", "prompt": f'def {name}({args}):\n    """ {doc}\n    """\n', "entry_point": name,
        "canonical_solution": f"    {body}\n", "test": f"def check(candidate):\n    assert candidate\n",
    }


def custom(i):
    return {"prompt": f"{NAMES[i]} went to the park with", "answer": ["her mum.", "his dog."][i % 2]}


MADE = {"gsm8k": gsm8k, "bbh": boolean, "triviaqa": trivia, "math": mathematics, "humaneval": code, "custom": custom}
COUNTS = {"custom": 6}
BBH_EXAMPLES = [  # in place of the published ones
    {"input": text + " is", "target": f"We know that \"{text}\" = {value}. So the answer is {value}."}
    for text, value in [("not True", "False"), ("True or False", "True"), ("not not True", "True")]
]
BBH_HEAD = "Evaluate the result of a random Boolean expression.\n\n"
CUSTOM = {
    "task": "custom", "dataset_path": "custom", "output_type": "generate_until", "test_split": "test",
    "training_split": "train", "fewshot_split": "train", "fewshot_config": {"sampler": "first_n"},
    "doc_to_text": "{{prompt}}", "doc_to_target": "{{answer}}",
    "generation_kwargs": {"until": ["\n"], "do_sample": False},
    "filter_list": [{"name": "none", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}],
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}
# the harness' task, questions, how many, shots, tokens of context (None: 1024), chat template
RUNS = [
    ("gsm8k", "gsm8k", 20, 0, None, False),
    ("gsm8k", "gsm8k", 6, 5, None, False),
    ("gsm8k", "gsm8k", 4, 5, 160, False),
    ("gsm8k", "gsm8k", 4, 2, None, True),
    ("bbh_cot_fewshot_boolean_expressions", "bbh", 20, 3, None, False),
    ("bbh_cot_fewshot_boolean_expressions", "bbh", 3, 3, None, True),
    ("triviaqa", "triviaqa", 20, 0, None, False),
    ("triviaqa", "triviaqa", 6, 3, None, False),
    ("hendrycks_math_algebra", "math", 20, 0, None, False),
    ("hendrycks_math_algebra", "math", 6, 2, None, False),
    ("humaneval", "humaneval", 20, 0, None, False),
    (CUSTOM, "custom", 6, 0, None, False),
    (CUSTOM, "custom", 4, 2, None, False),
]
# texts to judge, each an answer to the first question
ANSWERS = {
    "gsm8k": ("gsm8k", [
        " 3 + 2 = 5\n#### 5", "#### 5.", "#### $5", "####5", "The answer is 5.", "5 apples", "so -5", "#### 5.0", "#### 05",
        "It is 5, not 6", "She had 3, and then 2 more: 5.", "no number", "#### 1,005", "$5", "5.", "", "#### 5\n\n#### 7",
        "five", "#### -5", "3 . 5 ..", "12 5", "#### 5 Question: 9", "5%", "...", "x5y",
    ]),
    "bbh": ("bbh_cot_fewshot_boolean_expressions", [
        "So the answer is True.", "So the answer is True", "the answer is True .\nmore", "The answer is True.", "True",
        "the answer is False. So the answer is True.", "the answer is\nTrue.", "So the answer is true.", "",
        "the answer is True..", "So the answer is True!", "the answer is T",
    ]),
    "triviaqa": ("triviaqa", [
        "Cow", " cow", "The Cow", "the cow!", "A  cow", "cows", "a-cow", "", "Cow (animal)", "'Cow'", "moo cow", "ＣＯＷ",
    ]),
    "math": ("hendrycks_math_algebra", [
        " 4", "4", "$4$", "The answer is $4$.", "$2+2=4$", "$x=4$", "\\boxed{4}", "$\\boxed{4}$", "4.0", "4\\%", "\\$4",
        "We get $3$ and $4$", "$\\frac{8}{2}$", "8/2", "4 \\text{ apples}", "4^\\circ", "4\\\\", "$ 4 $", "\\left4\\right", "",
    ]),
    "math, a half": ("hendrycks_math_algebra", [
        "\\frac12", "\\frac1{2}", "1/2", "0.5", ".5", "\\dfrac{1}{2}", "\\tfrac12", "$\\frac{1}{2}$", "x=\\frac12", "2/4",
        "1 / 2", "\\frac{1}{2}\\text{ m}", "\\frac", "\\frac1", "1/2/3", "\\text{ a}\\text{ b}", "k = 0.5", "{.5}",
    ]),
    "math, a root": ("hendrycks_math_algebra", [
        "4\\sqrt3", "4\\sqrt{3}", "$4\\sqrt 3$", "4 \\sqrt{3}", "\\sqrt", "4\\sqrt{3}\\!", "\\sqrt{48}", "y=4\\sqrt3",
    ]),
    "math, boxed with a space": ("hendrycks_math_algebra", ["30", "$30$", "30 ", "5 \\cdot 6"]),
}
FIRST = {"math, a half": 1, "math, a root": 2, "math, boxed with a space": 3}


class Stub:
    def compute(self, **_):
        return ({"pass@1": 0.0}, None)


evaluate.load = lambda *_: Stub()


class Canned(LM):
    """Says what it was told to."""

    def __init__(self, texts):
        super().__init__()
        self.texts = texts

    def generate_until(self, requests, **_):
        assert len(requests) == len(self.texts)
        return list(self.texts)

    def loglikelihood(self, requests, **_):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


def load(manager, task, test, train, bbh_examples=BBH_EXAMPLES):
    rows = {split: datasets.Dataset.from_list(test) for split in ("validation", "test")}
    rows["train"] = datasets.Dataset.from_list(train)
    lm_eval.api.task.datasets.load_dataset = lambda **_: datasets.DatasetDict(rows)
    (loaded,) = get_task_dict([dict(task) if isinstance(task, dict) else task], manager).values()
    if loaded.config.task.startswith("bbh") and bbh_examples is not None:
        loaded.sampler = FirstNSampler(bbh_examples)
    return loaded


def evaluated(lm, task, **options):
    return lm_eval.simple_evaluate(
        lm, tasks=[task], bootstrap_iters=0, log_samples=True, confirm_run_unsafe_code=True, **options
    )


def scores(samples, number):
    """By filter: what was taken as the answer, and its score."""
    found = {}
    for sample in samples:
        if sample["doc_id"] == number:
            answer = sample["filtered_resps"][0]
            name = next(name for name in sample["metrics"])
            found[sample["filter"]] = [answer, float(sample[name])]
    return found


def ask(lm, manager, questions, task, name, count, shots, context, chat, bbh_examples=BBH_EXAMPLES):
    rows = questions[name]
    loaded = load(manager, task, rows["test"][:count], rows.get("train", rows["test"]), bbh_examples)
    loaded.set_config("num_fewshot", shots)
    lm._max_length = context or 1024
    lm.tokenizer.chat_template = TEMPLATE
    ids, generate = {}, lm._model_generate

    def noting(context, **kwargs):
        out = generate(context=context, **kwargs)
        ids[tuple(context[0].tolist())] = out[0, context.shape[1] :].tolist()
        return out

    lm._model_generate = noting
    found = evaluated(lm, loaded, apply_chat_template=chat, gen_kwargs=f"max_gen_toks={MAX_TOKENS}")
    lm._model_generate = generate
    samples = next(iter(found["samples"].values()))
    results = []
    for number in range(count):
        sample = next(sample for sample in samples if sample["doc_id"] == number)
        prompt = sample["arguments"][0][0]
        tokens = lm.tok_encode(prompt)[-(lm.max_length - MAX_TOKENS) :]
        results.append({
            "prompt": hashlib.sha256(prompt.encode()).hexdigest()[:16],
            "promptTokens": len(tokens),
            "tokens": ids[tuple(tokens)],
            "text": sample["resps"][0][0],
            "scores": {} if name == "humaneval" else scores(samples, number),
        })
    return results


def open_model(path):
    """A folder, or a GGUF of floats."""
    if path.suffix != ".gguf":
        return HFLM(pretrained=str(path), dtype="float32", device="cpu", batch_size=1)
    lm = HFLM(pretrained=str(path.parent), gguf_file=path.name, dtype="float32", device="cpu", batch_size=1)
    pre = GGUFReader(path).get_field("tokenizer.ggml.pre")
    if pre is not None and pre.contents() == "smollm":
        # transformers 5.24 reads no pre-tokenizer from a GGUF: the model's own cuts digits off first
        own = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)]
        lm.tokenizer.backend_tokenizer.pre_tokenizer = Sequence(own)
    return lm


def main(model, folder, most):
    questions = {
        name: {"test": [make(i) for i in range(COUNTS.get(name, 20))]} | (
            {} if name in ("bbh", "humaneval") else
            {"train": [make(i + (2 if name == "custom" else 20)) for i in range(4 if name == "custom" else 30)]})
        for name, make in MADE.items()
    }
    text = ",\n".join(
        json.dumps(name) + ": {" + ", ".join(
            json.dumps(split) + ": [\n " + ",\n ".join(json.dumps(row) for row in rows) + "]" for split, rows in splits.items()
        ) + "}"
        for name, splits in (questions | {"bbh examples": {"test": BBH_EXAMPLES}}).items()
    )
    (folder / "written-questions.json").write_text("{\n" + text + "\n}\n", encoding="utf-8")
    lm = open_model(model)
    manager = TaskManager()
    versions = {"lm_eval": lm_eval.__version__, "transformers": transformers.__version__, "torch": torch.__version__}
    lines = []
    for run in RUNS:
        task, name, count, shots, context, chat = run
        found = ask(lm, manager, questions, task, name, min(count, most), shots, context, chat)
        about = {"task": task if isinstance(task, str) else "custom", "data": name, "shots": shots, "context": context, "chat": chat}
        lines.append(json.dumps(about | {"questions": found}))
    judged = {}
    for name, (task, texts) in ANSWERS.items():
        data = name.split(",")[0]
        row = questions[data]["test"][FIRST.get(name, 0)]
        loaded = load(manager, task, [row] * len(texts), questions[data].get("train", [row]))
        loaded.set_config("num_fewshot", 0)
        found = evaluated(Canned(texts), loaded)
        samples = next(iter(found["samples"].values()))
        judged[name] = [[text, scores(samples, i)] for i, text in enumerate(texts)]
    out = '{"versions": ' + json.dumps(versions) + f',\n"maxTokens": {MAX_TOKENS}, "template": {json.dumps(TEMPLATE)},\n"runs": [\n'
    out += ",\n".join(lines) + '],\n"answers": {\n'
    out += ",\n".join(f"{json.dumps(name)}: {json.dumps(rows, ensure_ascii=False)}" for name, rows in judged.items()) + "}}\n"
    (folder / "written.json").write_text(out, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1000)
