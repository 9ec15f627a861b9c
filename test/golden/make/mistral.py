"""Writes test/golden/mistral/<name>: tiny models as Mistral publishes its own, with reference.json beside each.

usage: mistral.py <llama.cpp>

With transformers 5.24.0, torch 2.15.0, mistral-common 1.13.1, tiktoken, and llama.cpp's requirements. A model of random
weights is made by transformers and written by the names of mistral-inference, rows of heads in the order of neighbours (the
inverse of transformers' conversion scripts). reference.json has

  perplexity   what transformers makes of the Hugging Face form in float64, over chunks of 64 tokens, second halves scored
  ids          mistral-common's, of the strings in text
  tensors      SHA-256 of each as llama.cpp's converter writes it with --outtype f32: from this folder with --mistral-format, or
               where it has no class for that (Mixtral) from the Hugging Face form
  keys         what that GGUF says of the model and its vocabulary
"""

import base64
import hashlib
import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from safetensors.torch import save_file
from tiktoken._educational import SimpleBytePairEncoding
from transformers import (
    Ministral3Config,
    Ministral3ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
)

torch.set_num_threads(1)
LLAMA_CPP = Path(sys.argv[1])
sys.path.insert(0, str(LLAMA_CPP / "gguf-py"))
from gguf import GGUFReader

golden = Path(__file__).parent.parent
out = golden / "mistral"
text = (golden / "families/text.txt").read_text()
PATTERN = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
STRINGS = ["", "Hello world", "<s>[INST] a", "123 é\u0301\u0085\ufeffx", "  two\n\n three\t", "日本🙂", "don't DON'T", text[:300]]
SPECIALS = 40
SIZE = 400


def tekken(path):
    """As many as are used, and 50 more."""
    ranks = SimpleBytePairEncoding.train(text, vocab_size=SIZE - SPECIALS + 50, pat_str=PATTERN).mergeable_ranks
    entries = sorted(ranks.items(), key=lambda item: item[1])
    vocab = []
    for token, rank in entries:
        try:
            string = token.decode()
        except UnicodeDecodeError:
            string = None
        vocab.append({"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": string})
    config = {"pattern": PATTERN, "num_vocab_tokens": len(vocab), "default_vocab_size": SIZE, "default_num_special_tokens": SPECIALS, "version": "v3"}
    path.write_text(json.dumps({"config": config, "vocab": vocab}))


def neighbours(w, heads):
    rows, columns = w.shape
    return w.view(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns).contiguous()


def own_names(model):
    """The state dict by Mistral's names."""
    c = model.config
    state = {}
    for name, w in model.state_dict().items():
        if name.endswith("q_proj.weight"):
            w = neighbours(w, c.num_attention_heads)
        if name.endswith("k_proj.weight"):
            w = neighbours(w, c.num_key_value_heads)
        name = name.removeprefix("model.")
        for old, new in [
            ("embed_tokens", "tok_embeddings"), ("lm_head", "output"), ("input_layernorm", "attention_norm"),
            ("post_attention_layernorm", "ffn_norm"), ("self_attn.q_proj", "attention.wq"), ("self_attn.k_proj", "attention.wk"),
            ("self_attn.v_proj", "attention.wv"), ("self_attn.o_proj", "attention.wo"), ("mlp.gate_proj", "feed_forward.w1"),
            ("mlp.down_proj", "feed_forward.w2"), ("mlp.up_proj", "feed_forward.w3"), ("mlp.gate.", "feed_forward.gate."),
        ]:
            name = name.replace(old, new)
        if name.endswith("experts.gate_up_proj"):
            block = name.replace("mlp.experts.gate_up_proj", "feed_forward.experts")
            for e, each in enumerate(w):
                gate, up = each.chunk(2)
                state[f"{block}.{e}.w1.weight"], state[f"{block}.{e}.w3.weight"] = gate.contiguous(), up.contiguous()
        elif name.endswith("experts.down_proj"):
            block = name.replace("mlp.experts.down_proj", "feed_forward.experts")
            for e, each in enumerate(w):
                state[f"{block}.{e}.w2.weight"] = each.contiguous()
        else:
            state[name] = w.contiguous()
    return state


def perplexity(model, ids, bos):
    model.config._experts_implementation = "eager"  # the other one has no float64
    exact = type(model)(model.config)  # whose RoPE was never rounded to BF16
    exact.load_state_dict(model.state_dict())
    model = exact.double()
    total, count = 0.0, 0
    for start in range(0, len(ids) // 64 * 64, 64):
        chunk = torch.tensor([[bos] + ids[start + 1 : start + 64]])
        with torch.no_grad():
            logp = torch.log_softmax(model(chunk).logits[0], -1)
        for i in range(32, 63):
            total -= logp[i, chunk[0, i + 1]].item()
            count += 1
    return math.exp(total / count)


def gguf(folder, *options):
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "x.gguf"
        command = [sys.executable, LLAMA_CPP / "convert_hf_to_gguf.py", folder, "--outtype", "f32", "--outfile", file, *options]
        subprocess.run(command, check=True, capture_output=True)
        r = GGUFReader(file)
        tensors = {t.name: hashlib.sha256(t.data.tobytes()).hexdigest() for t in r.tensors}
        keys = {k: f.contents() for k, f in r.fields.items() if not k.startswith(("GGUF.", "general."))}
        return tensors, keys


def make(name, model, params, write, tokenizer, options=("--mistral-format", "--disable-mistral-community-chat-template"), exact=None):
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps(params, indent=1) + "\n")
    if tokenizer == "tekken.json":
        tekken(folder / tokenizer)
    else:
        shutil.copy(golden / "checkpoints/tokenizer.model", folder / tokenizer)
    write(folder, own_names(model))
    encode = MistralTokenizer.from_file(str(folder / tokenizer)).instruct_tokenizer.tokenizer
    if options is None:
        hf = Path(tempfile.mkdtemp())
        model.save_pretrained(hf)
        shutil.copy(folder / tokenizer, hf / "tokenizer.model")
        tensors, keys = gguf(hf)
        shutil.rmtree(hf)
    else:
        tensors, keys = gguf(folder, *options)
    reference = {
        "perplexity": perplexity(exact or model, encode.encode(text, bos=True, eos=False), encode.bos_id),
        "text": STRINGS,
        "ids": [encode.encode(each, bos=False, eos=False) for each in STRINGS],
        "tensors": tensors,
        "keys": keys,
    }
    (folder / "reference.json").write_text(json.dumps(reference, indent=1, default=str) + "\n")
    print(name, reference["perplexity"], sum(f.stat().st_size for f in folder.iterdir()))


def randomized(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(1 + 0.2 * noise if p.dim() == 1 else noise * (0.3 if "embed" in name else 2 / math.sqrt(p.shape[-1])))
    return model.to(torch.bfloat16)


SHAPE = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16, rms_norm_eps=1e-5)
PARAMS = {"dim": 32, "n_layers": 2, "head_dim": 16, "hidden_dim": 48, "n_heads": 4, "n_kv_heads": 2, "norm_eps": 1e-05, "max_position_embeddings": 512}


def one(folder, state):
    save_file(state, folder / "consolidated.safetensors")


def two(folder, state):
    """Each tensor whole in one of two."""
    parts = [{n: w for i, (n, w) in enumerate(state.items()) if i % 2 == part} for part in range(2)]
    for i, part in enumerate(parts):
        save_file(part, folder / f"consolidated-{i + 1:05}-of-00002.safetensors")
    weight_map = {n: f"consolidated-{i + 1:05}-of-00002.safetensors" for i, part in enumerate(parts) for n in part}
    (folder / "consolidated.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def first(folder, state):
    """As Mixtral was first published: files of whole tensors, experts below each other, the second transposed."""
    old = {}
    for name, w in state.items():
        block, found, rest = name.partition(".feed_forward.experts.")
        if found:
            e, matrix, _ = rest.split(".")
            w = w.T if matrix == "w2" else w
            old.setdefault(f"{block}.block_sparse_moe.{matrix}", {})[int(e)] = w
        else:
            old[name.replace("feed_forward.gate", "block_sparse_moe.gate")] = w
    old = {n: torch.cat([w[e] for e in sorted(w)]).contiguous() if isinstance(w, dict) else w for n, w in old.items()}
    for i in range(2):
        torch.save({n: w.clone() for k, (n, w) in enumerate(old.items()) if k % 2 == i}, folder / f"consolidated.{i:02}.pt")


def fp8(model):
    """Matrices of layers in E4M3 with a scale each, and the model with what they stand for."""
    state = own_names(model)
    packed = {}
    for name, w in state.items():
        if ".attention.w" in name or ".feed_forward.w" in name:
            scale = (w.float().abs().max() / 448).to(torch.bfloat16)
            q = (w.float() / scale.float()).to(torch.float8_e4m3fn)
            packed[name] = q
            packed[name.replace(".weight", ".qscale_weight")] = scale
            packed[name.replace(".weight", ".qscale_act")] = torch.tensor(0.5, dtype=torch.bfloat16)
            w.copy_(0)  # only what is packed counts
            state[name] = q.float() * scale.float()
        else:
            packed[name] = w
    packed["vision_encoder.ln_pre.weight"] = torch.ones(8, dtype=torch.bfloat16)
    packed["vision_language_adapter.w_in.weight"] = torch.ones(8, 8, dtype=torch.bfloat16)
    exact = Ministral3ForCausalLM(model.config).float()
    wanted = exact.state_dict()
    halves = {n: w for n, w in state.items()}

    def back(w, heads):
        rows, columns = w.shape
        return w.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)

    names = {
        "embed_tokens": "tok_embeddings", "lm_head": "output", "input_layernorm": "attention_norm",
        "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk",
        "self_attn.v_proj": "attention.wv", "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1",
        "mlp.down_proj": "feed_forward.w2", "mlp.up_proj": "feed_forward.w3",
    }
    for name in wanted:
        own = name.removeprefix("model.")
        for old, new in names.items():
            own = own.replace(old, new)
        w = halves[own].float()
        if "q_proj" in name:
            w = back(w, model.config.num_attention_heads)
        if "k_proj" in name:
            w = back(w, model.config.num_key_value_heads)
        wanted[name] = w
    exact.load_state_dict(wanted)
    return packed, exact


torch.manual_seed(0)
mistral = randomized(MistralForCausalLM(MistralConfig(**SHAPE, vocab_size=SIZE, rope_theta=1e6, sliding_window=None, max_position_embeddings=512)), 1)
make("mistral", mistral, {**PARAMS, "rope_theta": 1e6, "vocab_size": SIZE}, one, "tekken.json")

mixtral = randomized(MixtralForCausalLM(MixtralConfig(**SHAPE, vocab_size=96, rope_theta=1e6, num_local_experts=4, num_experts_per_tok=2, sliding_window=None, max_position_embeddings=512)), 3)
moe = {**PARAMS, "rope_theta": 1e6, "vocab_size": 96, "moe": {"num_experts_per_tok": 2, "num_experts": 4}}
make("mixtral", mixtral, moe, two, "tokenizer.model.v3", None)
make("mixtral-first", mixtral, moe, first, "tokenizer.model.v1", None)

rope = dict(rope_type="yarn", rope_theta=1e6, factor=8.0, original_max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.1)
ministral = randomized(Ministral3ForCausalLM(Ministral3Config(**SHAPE, vocab_size=SIZE, rope_parameters=rope, max_position_embeddings=512, sliding_window=None)), 4)
packed, exact = fp8(ministral)
params = {
    **PARAMS, "rope_theta": 1e6, "vocab_size": SIZE, "tied_embeddings": False, "vision_encoder": {"image_size": 32},
    "yarn": {"original_max_position_embeddings": 32, "factor": 8, "apply_scale": False, "beta": 32, "alpha": 1},
    "llama_4_scaling": {"original_max_position_embeddings": 32, "beta": 0.1},
    "quantization": {"qformat_weight": "fp8_e4m3", "qscheme_act": "TENSOR"},
}
make("ministral-fp8", ministral, params, lambda folder, _: save_file(packed, folder / "consolidated.safetensors"), "tekken.json", exact=exact)
