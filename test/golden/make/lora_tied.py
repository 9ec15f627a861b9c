"""Writes ../lora/tied/: adapters as PEFT saves them, of bases whose output is the embedding, and what the adapted
models make of the texts of families.py.

    python lora_tied.py      # peft 0.21.2, transformers 5.24.0, torch 2.15.0, safetensors 0.8.0

Every number of an adapter is random, of 16 bits. perplexity.json is of the model with the adapter loaded, in f64, and
not merged: PEFT merges an adapter of one of two tied weights into both, and warns of it.
"""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

OUT = Path(__file__).parent.parent
EXPRESSIONS = {r"^model\.layers\.[0-9]\.self_attn\.(q|k)_proj": 24, "layers.1.mlp.(?:up|gate)_proj": 1, r".*v_proj": 16}
CASES = {
    "embedding": {"target_modules": ["embed_tokens", "q_proj"]},
    "head": {"target_modules": ["lm_head", "q_proj"]},
    "both": {"target_modules": ["embed_tokens", "lm_head"]},
    "embedding-kept-tied": {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
    "head-kept-tied": {"target_modules": ["lm_head"], "ensure_weight_tying": True},
    "saved": {"target_modules": ["v_proj"], "modules_to_save": ["embed_tokens"]},
    "saved-head": {"target_modules": ["v_proj"], "modules_to_save": ["lm_head"]},
    "saved-kept-tied": {"target_modules": ["v_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    "expressions": {"target_modules": ["q_proj", "k_proj", "v_proj", "up_proj", "gate_proj", "down_proj"],
                    "alpha_pattern": EXPRESSIONS},
}
FAMILIES = {
    "qwen2-tied": list(CASES),
    "gemma": ["embedding", "head"],
    "gpt2": ["embedding", "head"],
}
NAMES = {"gpt2": {"embed_tokens": "wte", "q_proj": "c_attn"}}


def load(name):
    folder = OUT / "families" / name
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def perplexity(model, name):
    reference = json.loads((OUT / "families" / name / "reference.json").read_text())
    tokens, context = reference["tokens"], reference["context"]
    start = tokens[:1] if name == "gemma" else []
    losses = []
    for first in range(0, len(tokens), context):
        chunk = start + tokens[first + len(start) : first + context]
        with torch.no_grad():
            logs = torch.log_softmax(model(torch.tensor([chunk])).logits[0].double(), dim=-1)
        losses += [-logs[i, chunk[i + 1]].item() for i in range(context // 2, context - 1)]
    return float(np.exp(np.mean(losses)))


def main():
    torch.manual_seed(20261130)
    shutil.rmtree(OUT / "lora" / "tied", ignore_errors=True)
    result = {}
    for family, cases in FAMILIES.items():
        for case in cases:
            options = dict(CASES[case])
            for key in ("target_modules", "modules_to_save"):
                if key in options:
                    options[key] = [NAMES.get(family, {}).get(each, each) for each in options[key]]
            model = get_peft_model(load(family), LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=8, **options))
            with torch.no_grad():
                for key, parameter in model.named_parameters():
                    if "lora_" in key:
                        parameter.copy_(torch.randn_like(parameter) / 4)
                    elif "modules_to_save" in key:
                        parameter.add_(torch.randn_like(parameter) / 8)
            folder = OUT / "lora" / "tied" / f"{family}.{case}"
            model.save_pretrained(folder, save_embedding_layers=False)
            (folder / "README.md").unlink(missing_ok=True)
            file = folder / "adapter_model.safetensors"
            save_file({key: tensor.half() for key, tensor in load_file(file).items()}, file)
            config = json.loads((folder / "adapter_config.json").read_text())
            config["base_model_name_or_path"] = family
            (folder / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")
            adapted = PeftModel.from_pretrained(load(family), folder).double().eval()
            result[f"{family}.{case}"] = perplexity(adapted, family)
            print(family, case, perplexity(load(family).double().eval(), family), result[f"{family}.{case}"],
                  list(load_file(file)), flush=True)
    (OUT / "lora" / "tied" / "perplexity.json").write_text(json.dumps(result, indent=1) + "\n")


warnings.simplefilter("ignore")
main()
