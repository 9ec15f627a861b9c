"""Writes ../lora/: adapters of samples/tiny-llama as PEFT saves them, and what PEFT's merge makes of the weights.

    python lora.py      # peft 0.21.2, transformers 5.24.0, torch 2.15.0, safetensors 0.8.0

The base is loaded in float32. Every number of an adapter is random (PEFT would begin with B = 0). merged.json has,
for each adapter and each tensor that its merge changed, the shape and 40 of the merged weights: flat index, value.
"""

import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

root = Path(__file__).parents[3]
out = Path(__file__).parent.parent / "lora"
base = root / "samples" / "tiny-llama"

ADAPTERS = {
    "plain": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "k_proj"]},
    "patterns": {
        "r": 3,
        "lora_alpha": 6,
        "use_rslora": True,
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"],
        "layers_to_transform": [1],
        "rank_pattern": {"down_proj": 2},
        "alpha_pattern": {"layers.1.mlp.up_proj": 24},
    },
    "embedding": {
        "r": 2,
        "lora_alpha": 4,
        "target_modules": ["embed_tokens"],
        "modules_to_save": ["norm"],
    },
}


def load():
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)


def main():
    torch.manual_seed(20261125)
    shutil.rmtree(out, ignore_errors=True)
    before = load().state_dict()
    result = {}
    for name, options in ADAPTERS.items():
        model = get_peft_model(load(), LoraConfig(task_type="CAUSAL_LM", **options))
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "lora_" in key:
                    parameter.copy_((torch.randn_like(parameter) / 16).half())
                elif "modules_to_save" in key:
                    parameter.mul_(1.5)
        model.save_pretrained(out / name, save_embedding_layers=False)  # 2 MB that are the base's
        (out / name / "README.md").unlink(missing_ok=True)
        config = json.loads((out / name / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = "tiny-llama"
        (out / name / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")
        merged = PeftModel.from_pretrained(load(), out / name).merge_and_unload().state_dict()
        assert merged.keys() == before.keys()
        changed = {}
        for key, weight in merged.items():
            if torch.equal(weight, before[key]):
                continue
            places = torch.randperm(weight.numel())[:40].sort().values
            values = weight.flatten()[places].tolist()
            changed[key] = {"shape": list(weight.shape), "at": places.tolist(), "is": values}
        result[name] = changed
        print(name, len(changed), sum(f.stat().st_size for f in (out / name).iterdir()))
    (out / "merged.json").write_text(json.dumps(result) + "\n")


main()
