"""Writes ../packed/<name>/: tiny checkpoints whose weights their own writers packed, and expected.json beside each.

    packed_checkpoints.py <llama.cpp> [name ...]
    # torch 2.15.0, transformers 5.24.0, and --no-deps: nvidia-modelopt 0.47.0, compressed-tensors 0.20.1, mlx 0.32.4,
    # bitsandbytes 0.50.2, torchao 0.18.0, mlx-lm 0.32.2

expected.json holds
  perplexity   of the first 512 tokens of ../families/text.txt, over two chunks of 256, second halves scored, computed in f32
               by transformers: of READ, it reads the packed folder itself, else the weights that the writer dequantizes;
               of MLX_LM, by mlx-lm from the folder that it saved
  converted    what llama.cpp's converter (0c1e57098, --outtype bf16) makes of the folder, where it knows the packing: some
               keys, and name, shape (outermost first), type and sha256 of every tensor
"""

import contextlib
import copy
import hashlib
import io
import json
import logging
import math
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
HERE = Path(__file__).parent.parent
OUT, TOKENIZER = HERE / "packed", HERE / "families" / "llama-3.2"
TOKENS = json.loads((TOKENIZER / "reference.json").read_text())["tokens"]
CONTEXT = 256
COMMON = dict(
    vocab_size=320, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=4,
    num_key_value_heads=2, head_dim=16, max_position_embeddings=512, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
)  # fmt: skip


def build(kind="Llama", **more):
    torch.manual_seed(20261130)
    config = getattr(transformers, f"{kind}Config")(**{**copy.deepcopy(COMMON), **more}, architectures=[f"{kind}ForCausalLM"])
    model = getattr(transformers, f"{kind}ForCausalLM")._from_config(config, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.copy_(1 + torch.randn_like(parameter) / 8)
            else:
                gain = 1 if "embed" in name else 8 if "experts" in name else 4
                parameter.copy_(torch.randn_like(parameter) * gain / parameter.shape[-1] ** 0.5)
    return model.to(torch.bfloat16)


def plain(model):
    """The config and the weights, as they are published before anyone packs them."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return json.loads((Path(folder) / "config.json").read_text()), load_file(f"{folder}/model.safetensors")


def modules(state):
    return [name.removesuffix(".weight") for name in state if name.endswith("proj.weight")]


def perplexity(model):
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(TOKENS), CONTEXT):
            ids = torch.tensor(TOKENS[start : start + CONTEXT])
            logits = model(ids[None], use_cache=False).logits[0].double().log_softmax(-1)
            scored = torch.arange(CONTEXT // 2, CONTEXT - 1)
            total -= logits[scored, ids[scored + 1]].sum().item()
    return math.exp(total / (len(TOKENS) // CONTEXT * (CONTEXT // 2 - 1)))


# Writers: each gives config, state, and the weights as they were meant, in f32.


def modelopt(name, **more):
    import modelopt.torch.quantization as mtq
    from modelopt.torch.export import export_hf_checkpoint
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

    model = build(**more)
    config = copy.deepcopy(getattr(mtq, name))
    mtq.quantize(model, config, forward_loop=lambda m: m(torch.tensor(TOKENS[:256])[None]))
    with tempfile.TemporaryDirectory() as folder:
        export_hf_checkpoint(model, export_dir=folder)
        state = load_file(f"{folder}/model.safetensors")
        config = json.loads((Path(folder) / "config.json").read_text())
    meant = {key: value.float() for key, value in state.items() if value.dtype == torch.bfloat16}
    for module in modules(state):
        q, scale, double = (state[f"{module}.weight{part}"] for part in ("", "_scale", "_scale_2"))
        shape = torch.Size((q.shape[0], q.shape[1] * 2))
        options = {"scale": scale, "double_scale": double, "block_sizes": {-1: 16}, "dtype": torch.float32}
        meant[f"{module}.weight"] = NVFP4QTensor(shape, torch.float32, q).dequantize(**options)
    return config, state, meant


def modelopt_experts():
    """W4A16_NVFP4 with the class that packs; of experts that transformers stacks, export_hf_checkpoint writes each."""
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

    more = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=64, decoder_sparse_step=1, norm_topk_prob=True)
    config, state = plain(build("Qwen3Moe", **more))
    meant = {key: value.float() for key, value in state.items()}
    for module in modules(state):
        weight = state.pop(f"{module}.weight").float()
        packed, scale, double = NVFP4QTensor.quantize(weight.clone(), 16)
        options = {"scale": scale, "double_scale": double, "block_sizes": {-1: 16}, "dtype": torch.float32}
        meant[f"{module}.weight"] = packed.dequantize(**options)
        parts = {"weight": packed._quantized_data, "weight_scale": scale, "weight_scale_2": double}
        state |= {f"{module}.{part}": tensor for part, tensor in parts.items()}
    config["quantization_config"] = {
        "quant_method": "modelopt", "quant_algo": "W4A16_NVFP4", "ignore": ["lm_head", "model.embed_tokens"],
        "producer": {"name": "modelopt", "version": "0.47.0"},
    }  # fmt: skip
    return config, state, meant


def compressed(form, inputs=None, **weights):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.compressors.nvfp4 import base as nvfp4
    from compressed_tensors.quantization import QuantizationScheme

    unpack = nvfp4.unpack_fp4_from_uint8
    if "dtype" not in (unpack.keywords if isinstance(unpack, partial) else {}):  # by itself it rounds to bf16
        nvfp4.unpack_fp4_from_uint8 = partial(unpack, dtype=torch.float32)

    config, state = plain(build())
    meant = {key: value.float() for key, value in state.items()}
    scheme = QuantizationScheme(targets=["Linear"], weights=weights, input_activations=inputs, format=form)
    compressor = BaseCompressor.get_value_from_registry(form)
    for i, module in enumerate(modules(state)):
        weight = state.pop(f"{module}.weight").float()
        parts = {"weight": weight, **scales(form, weight, weights)}
        packed = compressor.compress(parts, scheme)
        if inputs is not None and form.startswith("nvfp4"):
            packed["input_global_scale"] = torch.tensor([100.0 + i])
        meant[f"{module}.weight"] = compressor.decompress(dict(packed), scheme)["weight"].float()
        state |= {f"{module}.{part}": tensor.detach().contiguous() for part, tensor in packed.items()}
    config["quantization_config"] = {
        "quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "version": "0.20.1",
        "ignore": ["lm_head"], "kv_cache_scheme": None, "global_compression_ratio": None,
        "config_groups": {"group_0": scheme.model_dump(mode="json")},
    }  # fmt: skip
    return config, state, meant


def scales(form, weight, args):
    rows, columns = weight.shape
    if form.startswith("nvfp4"):
        total = torch.tensor([448 * 6 / weight.abs().max()])
        scale = weight.reshape(rows, -1, 16).abs().amax(2) / 6 * total
        return {"weight_scale": scale.to(torch.float8_e4m3fn).float(), "weight_global_scale": total}
    if form.startswith("mxfp4"):
        return {"weight_scale": 2.0 ** (weight.reshape(rows, -1, 32).abs().amax(2) / 6).log2().ceil()}
    size = args.get("group_size") or columns
    largest = 2 ** (args["num_bits"] - 1) - 1 if args["type"] == "int" else 448
    scale = weight.reshape(rows, -1, size).abs().amax(2) / largest
    return {"weight_scale": scale} if args.get("symmetric", True) else {
        "weight_scale": scale, "weight_zero_point": torch.randint(-2, 3, scale.shape, dtype=torch.int8),
    }  # fmt: skip


def mlx(mode, size, bits):
    import mlx.core as mx
    import numpy as np

    config, state = plain(build())
    meant = {key: value.float() for key, value in state.items()}
    for module in modules(state):
        weight = mx.array(state.pop(f"{module}.weight").float().numpy())
        q, scale = mx.quantize(weight, mode=mode)
        meant[f"{module}.weight"] = torch.from_numpy(np.array(mx.dequantize(q, scale, mode=mode, dtype=mx.float32)))
        state[f"{module}.weight"] = torch.from_numpy(np.array(q))
        state[f"{module}.scales"] = torch.from_numpy(np.array(scale))
    said = {"group_size": size, "bits": bits, "mode": mode} | {"model.embed_tokens": False, "lm_head": False}
    return config | {"quantization": said, "quantization_config": said}, state, meant


def saved(quantization, dtype=torch.bfloat16, **more):
    """As transformers quantizes and saves it."""
    with tempfile.TemporaryDirectory() as folder:
        build(**more).save_pretrained(f"{folder}/plain")
        model = transformers.AutoModelForCausalLM.from_pretrained(f"{folder}/plain", quantization_config=quantization, dtype=dtype)
        model.save_pretrained(f"{folder}/packed")
        with safe_open(f"{folder}/packed/model.safetensors", "pt") as file:
            metadata = file.metadata()
        config = json.loads(Path(f"{folder}/packed/config.json").read_text())
        return config, load_file(f"{folder}/packed/model.safetensors"), metadata


def bitsandbytes(**options):
    return saved(transformers.BitsAndBytesConfig(**options), torch.float32)  # so it is dequantized to


def torchao(name, **options):
    import torchao.quantization as quantization

    options = {key: getattr(quantization, value[0])(*value[1:]) if isinstance(value, tuple) else value for key, value in options.items()}
    told = transformers.TorchAoConfig(getattr(quantization, name)(**options), modules_to_not_convert=["lm_head"])
    return saved(told, torch.float32)  # it computes in the type that it packed from


def fp8():
    """DeepSeek's blocks of 128, by the op that transformers packs them with."""
    from types import SimpleNamespace

    from transformers.integrations.finegrained_fp8 import Fp8Quantize

    config, state = plain(build())
    quantizer = Fp8Quantize(SimpleNamespace(quantization_config=transformers.FineGrainedFP8Config(weight_block_size=(32, 64))))
    for module in modules(state):
        state |= quantizer.convert({f"{module}.weight": state.pop(f"{module}.weight").float()})
    config["quantization_config"] = {
        "quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "weight_block_size": [32, 64],
    }  # fmt: skip
    return config, state, {"format": "pt"}


def integers(form, **weights):
    """Weights alone in whole numbers or small floats, by compressed-tensors."""
    config, state, _ = compressed(form, **weights)
    return config, state, {"format": "pt"}


FOUR = {"num_bits": 4, "type": "float", "symmetric": True}
NAMES = {
    "modelopt-nvfp4": (lambda: modelopt("NVFP4_DEFAULT_CFG"), True),
    "modelopt-nvfp4-experts": (modelopt_experts, True),
    "ct-nvfp4": (
        lambda: compressed(
            "nvfp4-pack-quantized", {**FOUR, "strategy": "tensor_group", "group_size": 16, "dynamic": "local"},
            **FOUR, strategy="tensor_group", group_size=16,
        ),
        True,
    ),
    "ct-mxfp4": (lambda: compressed("mxfp4-pack-quantized", **FOUR, strategy="group", group_size=32, scale_dtype="torch.uint8"), False),
    "mlx-mxfp4": (lambda: mlx("mxfp4", 32, 4), False),
    "mlx-nvfp4": (lambda: mlx("nvfp4", 16, 4), False),
}  # fmt: skip
INT = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}
# Those that transformers reads itself, each with how; what bitsandbytes computes on a CPU rounds activations too.
DEQUANTIZED = {"dequantize": lambda: True}
READ = {
    "ct-pack-quantized": (lambda: integers("pack-quantized", **INT, symmetric=True), {}),
    "ct-int-quantized": (lambda: integers("int-quantized", num_bits=8, type="int", symmetric=True, strategy="channel"), {}),
    "ct-float-quantized": (lambda: integers("float-quantized", num_bits=8, type="float", symmetric=True, strategy="channel"), {}),
    "bitsandbytes-nf4": (
        lambda: bitsandbytes(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype="float32"),
        DEQUANTIZED,
    ),
    "bitsandbytes-int8": (lambda: bitsandbytes(load_in_8bit=True), DEQUANTIZED),
    "torchao-int8": (lambda: torchao("Int8WeightOnlyConfig", version=2), {}),
    "torchao-int4": (lambda: torchao("IntxWeightOnlyConfig", weight_dtype=torch.int4, granularity=("PerGroup", 32)), {}),
    "torchao-float8": (lambda: torchao("Float8WeightOnlyConfig"), {}),
    "fp8-blocks": (fp8, {"quantization_config": lambda: transformers.FineGrainedFP8Config(weight_block_size=(32, 64), dequantize=True)}),
}  # fmt: skip


EXPERTS = dict(num_experts_per_tok=2, moe_intermediate_size=32, norm_topk_prob=True)
# A class, what it takes, what mlx-lm wants to be told as transformers 4 said it, and how it packs.
MLX_LM = {
    "mlx-lm-nvfp4-experts": (
        "Qwen3Moe", dict(num_experts=4, decoder_sparse_step=1, **EXPERTS | {"moe_intermediate_size": 64}), dict(rope_theta=10000.0, num_experts=4),
        dict(group_size=16, bits=4, mode="nvfp4", global_scale=True),
    ),
    "mlx-lm-deepseek-v3": (
        "DeepseekV3",
        dict(
            n_routed_experts=4, n_shared_experts=1, n_group=1, topk_group=1, first_k_dense_replace=1, num_hidden_layers=2, q_lora_rank=32,
            kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, num_key_value_heads=4, tie_word_embeddings=False, **EXPERTS,
        ),
        dict(rope_theta=10000.0, moe_layer_freq=1, scoring_func="sigmoid", topk_method="noaux_tc"), dict(group_size=32, bits=4),
    ),
    "mlx-lm-qwen3-next": (
        "Qwen3Next",
        dict(
            num_experts=4, decoder_sparse_step=1, shared_expert_intermediate_size=32, num_hidden_layers=2, linear_num_key_heads=2,
            linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8, linear_conv_kernel_dim=4,
            layer_types=["linear_attention", "full_attention"], **EXPERTS,
        ),
        dict(rope_theta=10000.0, partial_rotary_factor=0.25, full_attention_interval=2, num_experts=4), dict(group_size=32, bits=4),
    ),
}  # fmt: skip


def without_global_scales(model, packing):
    """What experts with a scale each are dequantized to, since they are multiplied on GPUs alone, and embeddings in f32."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

    size, bits, mode = packing["group_size"], packing["bits"], packing.get("mode", "affine")
    for name, module in model.named_modules():
        if isinstance(module, nn.QuantizedEmbedding) and mode == "nvfp4":
            values = mx.dequantize(module.weight, module.scales, None, size, bits, mode, dtype=mx.float32)
            model.model.embed_tokens = nn.Embedding(*values.shape)
            model.model.embed_tokens.weight = values
        if not isinstance(module, QuantizedSwitchLinear) or module.global_scale is None:
            continue
        parts = zip(module.weight, module.scales, module.global_scale)
        each = [mx.dequantize(q, s, None, size, bits, mode, global_scale=g, dtype=mx.float32) for q, s, g in parts]
        plain = SwitchLinear(module.input_dims, module.output_dims, module.num_experts, bias=False)
        plain.weight = mx.stack(each)
        *path, last = name.split(".")
        parent = model
        for step in path:
            parent = parent[int(step)] if step.isdigit() else getattr(parent, step)
        setattr(parent, last, plain)


def write_mlx_lm(name):
    import mlx.core as mx
    import numpy as np
    from mlx_lm import utils

    kind, more, told, packing = MLX_LM[name]
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as source:
        build(kind, **more).save_pretrained(source)
        path = Path(source) / "config.json"
        config = json.loads(path.read_text()) | told
        path.write_text(json.dumps(config))
        model, config = utils.load_model(Path(source))
        model, config = utils.quantize_model(model, config, **packing)
        utils.save_model(folder, model)
        utils.save_config(config, folder / "config.json")
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "model.safetensors.index.json").unlink()
    model, _ = utils.load_model(folder)
    model.set_dtype(mx.float32)
    without_global_scales(model, packing)
    total = 0.0
    for start in range(0, len(TOKENS), CONTEXT):
        ids = np.array(TOKENS[start : start + CONTEXT])
        logits = torch.from_numpy(np.array(model(mx.array(ids)[None])[0])).double().log_softmax(-1)
        scored = torch.arange(CONTEXT // 2, CONTEXT - 1)
        total -= logits[scored, torch.from_numpy(ids)[scored + 1]].sum().item()
    expected = {"perplexity": math.exp(total / (len(TOKENS) // CONTEXT * (CONTEXT // 2 - 1)))}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(name, expected["perplexity"], sum(file.stat().st_size for file in folder.iterdir()), flush=True)


def dequantized(config, meant):
    config = {key: value for key, value in config.items() if not key.startswith("quantization")}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        save_file({key: value.contiguous() for key, value in meant.items()}, f"{folder}/model.safetensors", {"format": "pt"})
        options = {"dtype": torch.float32, "attn_implementation": "eager"}
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, **options)
        return perplexity(model.eval())


def read(folder, options):
    """By transformers from the folder itself."""
    told = {key: value() for key, value in options.items()}
    dequantizes = told.pop("dequantize", False)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **told)
    if dequantizes:
        model = model.dequantize(dtype=torch.float32)
    return perplexity(model.eval())


def converted(source, folder):
    sys.path[:0] = [str(source), str(source / "gguf-py")]
    import gguf
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
    from conversion.base import TextModel

    TextModel.get_vocab_base_pre = lambda self, tokenizer: "llama-bpe"
    model_class = get_model_class(get_model_architecture(ModelBase.load_hparams(folder, False), ModelType.TEXT))
    own = type(model_class.__name__, (model_class,), {"set_vocab": lambda self: self._set_vocab_gpt2(), "model_arch": model_class.model_arch})
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode(), contextlib.redirect_stderr(io.StringIO()):
        path = Path(scratch) / "model.gguf"
        own(folder, gguf.LlamaFileType.MOSTLY_BF16, path, model_name="packed").write()
        reader = gguf.GGUFReader(path)
        keys = {
            field.name: field.contents()
            for field in reader.fields.values()
            if field.name in ("general.file_type", "general.tensor_extra.name", "general.tensor_extra.prec_a4")
        }
        tensors = [
            [
                tensor.name,
                [int(n) for n in reversed(tensor.shape)],
                tensor.tensor_type.name,
                hashlib.sha256(tensor.data.tobytes()).hexdigest(),
            ]
            for tensor in reader.tensors
        ]
    return {"keys": keys, "tensors": tensors}


def write_read(name):
    make, options = READ[name]
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config, state, metadata = make()
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors", metadata)
    (folder / "model.safetensors").chmod(0o644)
    expected = {"perplexity": read(folder, options)}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(name, expected["perplexity"], sum(file.stat().st_size for file in folder.iterdir()), flush=True)


def write(name, source):
    if name in READ:
        return write_read(name)
    if name in MLX_LM:
        return write_mlx_lm(name)
    make, is_converted = NAMES[name]
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config, state, meant = make()
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors", {"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    expected = {"perplexity": dequantized(config, meant)}
    if is_converted:
        with tempfile.TemporaryDirectory() as scratch:
            whole = Path(scratch) / name
            shutil.copytree(folder, whole)
            for file in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(TOKENIZER / file, whole)
            told = json.loads((whole / "tokenizer_config.json").read_text())
            (whole / "tokenizer_config.json").write_text(json.dumps(told | {"tokenizer_class": "PreTrainedTokenizerFast"}))
            expected["converted"] = converted(source, whole)
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(name, expected["perplexity"], sum(file.stat().st_size for file in folder.iterdir()))


logging.disable(logging.WARNING)
for each in sys.argv[2:] or [*NAMES, *READ, *MLX_LM]:
    write(each, Path(sys.argv[1]).resolve())
