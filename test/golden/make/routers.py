"""Which experts tokens go through, by transformers' own routers: writes ../routers.json."""
import json
from pathlib import Path

import torch
from torch import nn
from transformers import DeepseekV3Config, GptOssConfig, Qwen3MoeConfig
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as v3
from transformers.models.gpt_oss import modeling_gpt_oss as oss
from transformers.models.phimoe.modeling_phimoe import sparsemixer
from transformers.models.qwen3_moe import modeling_qwen3_moe as qwen3

torch.manual_seed(1)
E, K, T = 8, 3, 6
logits = 2 * torch.randn(T, E)
bias = 0.4 * torch.randn(E)


def chosen(indices, weights):
    """Of each token: [expert, weight], the experts in ascending order."""
    return [sorted([int(e), float(w)] for e, w in zip(i, w)) for i, w in zip(indices, weights)]


def identity(router):
    """A router that takes logits as its input."""
    with torch.no_grad():
        router.weight.copy_(torch.eye(E))
    return router


def deepseek3(**options):
    config = DeepseekV3Config(hidden_size=E, n_routed_experts=E, num_experts_per_tok=K, **options)
    router = identity(v3.DeepseekV3TopkRouter(config))
    router.e_score_correction_bias.copy_(bias)
    _, weights, indices = router(logits)
    return chosen(indices, weights)


def softmax(normalize):
    config = Qwen3MoeConfig(hidden_size=E, num_experts=E, num_experts_per_tok=K, norm_topk_prob=normalize)
    _, weights, indices = identity(qwen3.Qwen3MoeTopKRouter(config))(logits)
    return chosen(indices, weights)


def gpt_oss():
    config = GptOssConfig(hidden_size=E, num_local_experts=E, num_experts_per_tok=K)
    router = identity(oss.GptOssTopKRouter(config))
    with torch.no_grad():
        router.bias.copy_(bias)
    _, weights, indices = router(logits)
    return chosen(indices, weights)


def largest_of_group():
    scores = logits.softmax(-1)
    groups = torch.topk(scores.view(T, 4, 2).max(-1).values, 2)[1]
    mask = torch.zeros(T, 4).scatter_(1, groups, 1).repeat_interleave(2, 1)
    weights, indices = torch.topk(scores.masked_fill(mask == 0, 0.0), K)
    return chosen(indices, weights * 16.0)


def phimoe():
    weights, indices = sparsemixer(logits, 0.2, False)
    return chosen(indices, weights)


with torch.no_grad():
    result = {
        "logits": logits.tolist(),
        "bias": bias.tolist(),
        "softmax": softmax(False),
        "softmax, normalized": softmax(True),
        "sigmoid, groups, normalized": deepseek3(n_group=4, topk_group=2, norm_topk_prob=True, routed_scaling_factor=2.5),
        "sigmoid": deepseek3(n_group=1, topk_group=1, norm_topk_prob=False, routed_scaling_factor=1.0),
        "softmax of the chosen": gpt_oss(),
        "largest of a group": largest_of_group(),
        "sparsemixer": phimoe(),
    }
Path(__file__).with_name("..").resolve().joinpath("routers.json").write_text(json.dumps(result) + "\n")
