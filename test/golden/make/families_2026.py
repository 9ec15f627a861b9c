"""Writes a tiny random checkpoint for every class of the table in families_2026/, and what transformers makes of a text.

usage: families_2026.py [--wide] <folder> [name ...]

Each checkpoint is what save_pretrained of transformers 5 writes, its numbers rounded to BF16 and stored so, with the
files of families.py beside it: a tokenizer; reference.json (tokens of text.txt, perplexity over two chunks of 256,
second halves scored); logits.f32.gz (the first POSITIONS tokens, the last 8 bits of each number cut); generate.json (as
generate.py says it, every token from all before it, without cache; for LongRoPE's long factors behind a prompt that
outgrows the short ones). Computed in f64 where the class allows it, with the code that transformers falls back to
without kernels. A checkpoint that is there already is left alone unless it is named.

Where transformers has a class by what it computes but not by name, an entry's `written` makes the publisher's config
and names of it, `mend` adds to the model what it lacks, and `rounded` leaves of its weights what the publisher's form
can hold. `seed` of an entry is raised where the last bits of f32 choose the experts.

--wide makes every row eight times as long, so that it is cut into blocks of 256, and computes nothing: for comparing
what is quantized how.
"""

import contextlib
import json
import shutil
import sys
import tempfile
import traceback
import zlib
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

import families
from families_2026 import FAMILIES
from families_tokenizers import make_tokenizer

TEXT = (families.OUT / "text.txt").read_text()
POSITIONS, PROMPT, NEW = 32, 16, 64
SPECIAL = {
    "spm": {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
    "spm gemma": {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0},
    "gemma4": {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0},
}
# Buffers that are trained, or counted in training, and saved.
WIDTHS = """hidden_size intermediate_size moe_intermediate_size shared_intermediate_size shared_expert_intermediate_size head_dim
global_head_dim v_head_dim qk_nope_head_dim qk_rope_head_dim q_lora_rank kv_lora_rank linear_key_head_dim linear_value_head_dim
mamba_d_head mamba_d_ssm mamba_head_dim d_model n_embd n_inner ffn_hidden_size moe_shared_expert_intermediate_size moe_latent_size
intermediate_size_mlp hidden_size_per_layer_input laurel_rank linear_head_dim""".split()
LEARNED_BUFFERS = ("e_score_correction_bias", "expert_bias", "expert_biases", "layer_scalar", "router_bias")
TRANSPOSED = ("gpt_oss", "llama4")  # experts are [expert][in][out]


def unused(values, ids):
    """Ids that do not occur in the text for "unused 0" and so on."""
    return {key: ids[int(value.split()[1])] if str(value).startswith("unused") else value for key, value in values.items()}


def widened(values):
    """The part of a config that is text, with rows eight times as long."""
    parts = ("text_config", "ffn_config")
    wide = {key: value * 8 if key in WIDTHS and isinstance(value, int) else value for key, value in values.items()}
    return wide | {key: widened(values[key]) for key in parts if key in values}


def build(entry, seed, tokens):
    torch.manual_seed(seed)
    special = SPECIAL.get(entry["tokenizer"], {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0})
    values = unused(entry["config"], sorted(set(range(4, 320)) - set(tokens)))
    if "text_config" in values:
        values["text_config"] = special | values["text_config"]
    else:
        values = special | values
    config = transformers.AutoConfig.for_model(values.pop("model_type"), **values)
    model_class = getattr(transformers, entry["class"])
    plain = {"attn_implementation": "eager", "experts_implementation": "eager"}
    try:
        model = model_class._from_config(config, **plain)
    except (TypeError, ValueError):
        model = model_class._from_config(config, attn_implementation="eager")
    return model.float().eval()


def spread(name, values, model_type):
    """Mean and standard deviation of a parameter, such that every part of the model shows in the logits."""
    shape, part = values.shape, name.split(".")[-1]
    if part == "A_log":
        return 0.5, 0.7
    if part == "dt_bias" or name.endswith("dt_proj.bias"):
        return -1, 0.7
    if part in LEARNED_BUFFERS:
        return (1, 0.3) if part == "layer_scalar" else (0, 0.2)
    if "conv" in name and part == "weight" and "vision" not in name:
        return 0, 0.5
    if "dt_proj" in name:
        return 0, 0.5
    first = values.flatten()[0].item()
    if (values == first).all() and (len(shape) < 2 or first != 0):  # norms, multipliers, biases
        return first, 0.3
    if len(shape) < 2:
        return 0, 0.3
    if "embed" in name.split(".")[-2] or ".wte." in name or ".wpe." in name:  # serves as output, too, if tied
        return 0, 0.25
    if name.startswith(("lm_head", "output", "embed_out")):
        return 0, 1.5 * shape[-1] ** -0.5
    fan_in = shape[-2] if len(shape) == 3 and model_type in TRANSPOSED else shape[-1]
    return 0, 1.2 * fan_in**-0.5


def set_weights(model, seed, entry):
    generator = torch.Generator().manual_seed(seed)
    model_type = entry["config"]["model_type"]
    learned = [(name, buffer) for name, buffer in model.named_buffers() if name.split(".")[-1] in LEARNED_BUFFERS]
    for name, parameter in [*model.named_parameters(), *learned]:
        mean, deviation = spread(name, parameter.data, model_type)
        for pattern, value in entry.get("spread", {}).items():
            if pattern in name:
                mean, deviation = value
        values = mean + deviation * torch.randn(parameter.shape, generator=generator)
        parameter.data = values.to(torch.bfloat16).to(torch.float32)
    for name, buffer in model.state_dict().items():
        if buffer.is_floating_point():
            buffer.copy_(buffer.to(torch.bfloat16))


def save(model, folder, written):
    """As save_pretrained writes it, or as `written` makes a publisher's of that, in BF16."""
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch, max_shard_size="1GB")
        config = json.loads((Path(scratch) / "config.json").read_text())
        tensors = load_file(Path(scratch) / "model.safetensors")
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        if "dtype" in part:
            part["dtype"] = "bfloat16"
    if written is not None:
        config, tensors = written(config, tensors)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    cast = {
        name: tensor.to(torch.bfloat16) if tensor.is_floating_point() and not is_packed(name, tensor) else tensor
        for name, tensor in tensors.items()
    }
    save_file({name: tensor.contiguous() for name, tensor in cast.items()}, folder / "model.safetensors", {"format": "pt"})


def is_packed(name, tensor):
    return tensor.itemsize == 1 or name.endswith("_scale_inv")


@contextlib.contextmanager
def everything_in_f64():
    """What the code casts to f32 on the way is f64, too."""
    single, to_single = torch.float32, torch.Tensor.float
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        torch.float32 = torch.float = single
        torch.Tensor.float = to_single


def evaluate(model, chunks):
    """Logits, -ln p, and in which numbers."""
    double = model.double()
    for kind, context in (("f64", contextlib.nullcontext), ("f64", everything_in_f64), ("f32", contextlib.nullcontext)):
        try:
            with context():
                return *families.evaluate(double if kind == "f64" else model.float(), chunks), kind
        except (RuntimeError, TypeError, ValueError) as failure:
            problem = failure
    raise problem


def make(out, name, entry, wide):
    if wide:
        entry = entry | {"config": widened(entry["config"])}
    seed = zlib.crc32(name.encode()) + entry.get("seed", 0)
    folder = out / name
    partial = out / f".{name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tokens, start = make_tokenizer(entry["tokenizer"], TEXT, partial, entry["bos"])
    tokens = tokens[: families.CONTEXT * families.CHUNKS]
    assert len(tokens) == families.CONTEXT * families.CHUNKS
    model = build(entry, seed, tokens)
    if "mend" in entry:
        entry["mend"](model)
    set_weights(model, seed, entry)
    if "rounded" in entry:
        entry["rounded"](model)
    save(model, partial, entry.get("written"))
    (partial / "model.safetensors").chmod(0o644)
    reference = {"context": families.CONTEXT, "tokens": tokens} if wide else evaluated(model, entry, tokens, start, partial)
    (partial / "reference.json").write_text(json.dumps(reference) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    size = (folder / "model.safetensors").stat().st_size
    print(f"{name}: perplexity {reference.get('perplexity')}, {size} bytes", flush=True)


def evaluated(model, entry, tokens, start, folder):
    """reference.json's values; writes the logits."""
    text = model.language_model if "text_part" in entry else model  # where the whole fails without an image
    first, nll, kind = evaluate(text, list(families.chunks_of(tokens, start)))
    assert np.isfinite(nll)
    families.POSITIONS = POSITIONS
    families.write_logits(folder / "logits.f32.gz", first)
    (folder / "generate.json").write_text(json.dumps(generated(text, entry, tokens, kind)) + "\n")
    return {
        "madeBy": f"transformers {transformers.__version__} {entry['class']}, {kind}, torch {torch.__version__.split('+')[0]}",
        "context": families.CONTEXT,
        "positions": POSITIONS,
        "nll": nll,
        "perplexity": float(np.exp(nll)),
        "tokens": tokens,
    }


def generated(text, entry, tokens, kind):
    """How the text goes on from its first tokens, always with the likeliest."""
    part = entry["config"].get("text_config", entry["config"])
    rope = part.get("rope_parameters") or {}
    short = rope["original_max_position_embeddings"] if rope.get("rope_type") == "longrope" else NEW + PROMPT
    prompt, chosen, rows = tokens[: short + 8 if short < NEW else PROMPT], [], []
    context = everything_in_f64 if kind == "f64" else contextlib.nullcontext
    for _ in range(NEW):
        with torch.no_grad(), context():
            rows.append(families.logits_of(text, prompt + chosen)[-1].double())
        chosen.append(rows[-1].argmax().item())
    logits = torch.stack(rows)
    best = logits.topk(2).values
    window = part.get("sliding_window") if part.get("use_sliding_window", True) else None
    result = {
        "by": f"{entry['class']}, transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
        "prompt": prompt,
        "tokens": chosen,
        "logprobs": [round(value, 6) for value in torch.log_softmax(logits, -1)[range(NEW), chosen].tolist()],
        "minMargin": float(f"{(best[:, 0] - best[:, 1]).min().item():.3g}"),
    }
    return result if window is None else result | {"window": window}


def main():
    wide = sys.argv[1] == "--wide"
    out, wanted = Path(sys.argv[1 + wide]), sys.argv[2 + wide :]
    torch.set_num_threads(1)
    failed = []
    for name, entry in FAMILIES.items():
        if name in wanted or (not wanted and not (out / name).exists()):
            try:
                make(out, name, entry, wide)
            except Exception as failure:  # one class that fails must not keep the others
                traceback.print_exc(limit=-3)
                print(f"{name}: {type(failure).__name__} {failure}", flush=True)
                failed.append(name)
    if failed:
        sys.exit(f"not made: {' '.join(failed)}")


if __name__ == "__main__":
    main()
