"""Perplexity of a GGUF fixture of MPT or Falcon-7B in f64, with GELU in three forms.

usage: fixtures_gelu.py <fixture.gguf> <ids of the text, in a file>      (needs numpy, torch, gguf)

llama.cpp takes the tanh form from a table of f16, the publishers' models have the exact form. The program says how far
that is apart; test/arch/fixtures.test.ts has what it says of the exact form. Chunks of 128 tokens, second halves scored.
"""

import math
import sys

import gguf
import torch

CONTEXT = 128
torch.set_default_dtype(torch.float64)

reader = gguf.GGUFReader(sys.argv[1])
ids = [int(number) for number in open(sys.argv[2]).read().split()]
tensors = {tensor.name: torch.tensor(tensor.data).double() for tensor in reader.tensors}
arch = reader.fields["general.architecture"].contents()


def key(name, default=None):
    field = reader.fields.get(f"{arch}.{name}")
    return default if field is None else field.contents()


heads, layers, width = key("attention.head_count"), key("block_count"), key("embedding_length")
heads_kv, limit = key("attention.head_count_kv", heads), key("attention.clamp_kqv", math.inf)
head = width // heads


def gelu(x, form):
    if form == "exact":
        return torch.nn.functional.gelu(x)
    if form == "tanh":
        return torch.nn.functional.gelu(x, approximate="tanh")
    table = torch.nn.functional.gelu(x.half().double(), approximate="tanh").half().double()
    return torch.where(x <= -10, 0, torch.where(x >= 10, x, table))


def norm(x, name):
    y = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, correction=0, keepdim=True) + 1e-5)
    return y * tensors[f"{name}.weight"] + tensors.get(f"{name}.bias", 0)


def product(x, name):
    return x @ tensors[f"{name}.weight"].T


def turned(x):
    angles = torch.arange(x.shape[1])[:, None] * 10000.0 ** (-torch.arange(0, head, 2) / head)
    a, b = x.chunk(2, -1)
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], -1)


def attention(x, i):
    n = len(x)
    parts = product(x, f"blk.{i}.attn_qkv").clamp(-limit, limit).split([heads * head, heads_kv * head, heads_kv * head], -1)
    q, k, v = (part.view(n, -1, head).transpose(0, 1) for part in parts)
    if arch == "falcon":
        q, k = turned(q), turned(k)
    scores = q @ k.repeat_interleave(heads // heads_kv, 0).transpose(1, 2) / math.sqrt(head)
    distance = torch.arange(n)[:, None] - torch.arange(n)
    if arch == "mpt":
        power = 2 ** int(math.log2(heads))
        steps = torch.cat([torch.arange(1, power + 1), torch.arange(0.5, heads - power)])
        slopes = 2.0 ** (-key("attention.max_alibi_bias") * steps / power)
        scores = scores - slopes[:, None, None] * distance
    weights = scores.masked_fill(distance < 0, -math.inf).softmax(-1)
    mixed = (weights @ v.repeat_interleave(heads // heads_kv, 0)).transpose(0, 1).reshape(n, -1)
    return product(mixed, f"blk.{i}.attn_output")


def logits(chunk, form):
    x = tensors["token_embd.weight"][chunk]
    for i in range(layers):
        a = norm(x, f"blk.{i}.attn_norm")
        attended = attention(a, i)
        b = a if arch == "falcon" else norm(x + attended, f"blk.{i}.ffn_norm")
        x = x + attended + product(gelu(product(b, f"blk.{i}.ffn_up"), form), f"blk.{i}.ffn_down")
    return norm(x, "output_norm") @ tensors.get("output.weight", tensors["token_embd.weight"]).T


for form in ("exact", "tanh", "tanh, from a table"):
    losses = []
    for first in range(0, len(ids) - CONTEXT + 1, CONTEXT):
        chunk = torch.tensor(ids[first : first + CONTEXT])
        logs = logits(chunk, form).log_softmax(-1)
        losses += [-logs[i, chunk[i + 1]].item() for i in range(CONTEXT // 2, CONTEXT - 1)]
    print(f"{form}: {math.exp(sum(losses) / len(losses)):.6f}")
