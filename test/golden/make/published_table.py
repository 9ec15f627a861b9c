"""The sizes that publishers made of each family: the fields of config.json that shapes depend on, as they write them.

One row a model: name, its parameters as published (None where only rounded numbers are), changes to the family's config.
`code` and `load` as in families_table.py.
"""

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False, "vocab_size": 32000, "max_position_embeddings": 2048, "rope_scaling": None,
}


def llama(hidden, layers, heads, kv, ff, **more):
    return {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": kv, "intermediate_size": ff, **more}


def llama31(factor):
    return {"vocab_size": 128256, "max_position_embeddings": 131072, "rope_theta": 500000.0, "rope_scaling": {
        "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
        "rope_type": "llama3"}}


LLAMA3 = {"vocab_size": 128256, "max_position_embeddings": 8192, "rope_theta": 500000.0}
QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0, "max_position_embeddings": 32768, "vocab_size": 151936, "use_sliding_window": False,
    "sliding_window": 32768, "tie_word_embeddings": False,
}
LARGE_QWEN2 = {"vocab_size": 152064, "rms_norm_eps": 1e-5}
QWEN2MOE = {
    **QWEN2, "architectures": ["Qwen2MoeForCausalLM"], "model_type": "qwen2_moe", "decoder_sparse_step": 1,
    "norm_topk_prob": False, "mlp_only_layers": [], "qkv_bias": True,
}
QWEN3 = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "rope_theta": 1000000, "max_position_embeddings": 40960, "vocab_size": 151936, "head_dim": 128,
    "attention_bias": False, "use_sliding_window": False, "sliding_window": None, "rope_scaling": None,
    "tie_word_embeddings": False,
}
QWEN3MOE = {
    **QWEN3, "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "decoder_sparse_step": 1,
    "norm_topk_prob": True, "mlp_only_layers": [], "num_experts": 128, "num_experts_per_tok": 8,
}
QWEN = {
    "architectures": ["QWenLMHeadModel"], "model_type": "qwen", "kv_channels": 128, "layer_norm_epsilon": 1e-6,
    "no_bias": True, "rotary_emb_base": 10000, "rotary_pct": 1.0, "scale_attn_weights": True, "use_dynamic_ntk": True,
    "use_logn_attn": True, "use_flash_attn": False, "tie_word_embeddings": False, "vocab_size": 151936,
    "seq_length": 8192, "max_position_embeddings": 32768,
}
BAICHUAN = {"model_type": "baichuan", "hidden_act": "silu", "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
            "vocab_size": 64000}
BAICHUAN7 = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 11008,
             "max_position_embeddings": 4096}
BAICHUAN13 = {"hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 40, "intermediate_size": 13696,
              "model_max_length": 4096}
CHATGLM2 = {
    "architectures": ["ChatGLMModel"], "model_type": "chatglm", "add_bias_linear": False, "add_qkv_bias": True,
    "ffn_hidden_size": 13696, "hidden_size": 4096, "kv_channels": 128, "layernorm_epsilon": 1e-5,
    "multi_query_attention": True, "multi_query_group_num": 2, "num_attention_heads": 32, "num_layers": 28,
    "original_rope": True, "padded_vocab_size": 65024, "post_layer_norm": True, "rmsnorm": True, "seq_length": 32768,
    "apply_residual_connection_post_layernorm": False, "tie_word_embeddings": False, "eos_token_id": 2,
    "pad_token_id": 0,
}
GEMMA = {
    "architectures": ["GemmaForCausalLM"], "model_type": "gemma", "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "vocab_size": 256000,
    "max_position_embeddings": 8192, "head_dim": 256,
}
GEMMA2 = {
    **GEMMA, "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "sliding_window": 4096,
    "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 256,
}
PHI3 = {
    "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_act": "silu", "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "rope_scaling": None, "max_position_embeddings": 4096, "tie_word_embeddings": False,
    "original_max_position_embeddings": 4096, "sliding_window": 2047, "vocab_size": 32064, "attention_bias": False,
}
FALCON = {
    "architectures": ["FalconForCausalLM"], "model_type": "falcon", "alibi": False, "bias": False,
    "layer_norm_epsilon": 1e-5, "multi_query": True, "parallel_attn": True, "vocab_size": 65024,
}
MPT = {
    "architectures": ["MPTForCausalLM"], "model_type": "mpt", "expansion_ratio": 4, "no_bias": True,
    "learned_pos_emb": True, "vocab_size": 50432, "attn_config": {
        "alibi": True, "alibi_bias_max": 8, "attn_type": "multihead_attention", "clip_qkv": None, "prefix_lm": False,
        "qk_ln": False, "softmax_scale": None, "attn_pdrop": 0},
}
GPT2 = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new", "n_ctx": 1024,
    "n_positions": 1024, "layer_norm_epsilon": 1e-5, "vocab_size": 50257,
}
MAMBA = {
    "architectures": ["MambaForCausalLM"], "model_type": "mamba", "state_size": 16, "conv_kernel": 4, "use_bias": False,
    "use_conv_bias": True, "layer_norm_epsilon": 1e-5, "hidden_act": "silu", "vocab_size": 50280,
    "tie_word_embeddings": True,
}
STARCODER2 = {
    "architectures": ["Starcoder2ForCausalLM"], "model_type": "starcoder2", "hidden_act": "gelu_pytorch_tanh",
    "max_position_embeddings": 16384, "norm_epsilon": 1e-5, "norm_type": "layer_norm", "sliding_window": 4096,
    "use_bias": True, "vocab_size": 49152, "rope_theta": 999999.4420358813,
}
OLMO2 = {
    "architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2", "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "rope_theta": 500000, "rope_scaling": None, "max_position_embeddings": 4096, "attention_bias": False,
    "tie_word_embeddings": False, "vocab_size": 100352,
}

# The classes of 2025 and 2026: what transformers 5.24 has as a class's defaults, which are a published model's, but for what
# stands here. DeepSeek V3's context, and that of the Qwens, are those of their model cards; the numbers of Qwen3.5-27B are
# in sglang's tests and THUDM's slime (scripts/models/qwen3.5-27B.sh), which says of Qwen3.6-35B-A3B that its shape is
# Qwen3.5-35B-A3B's (qwen36-35B-A3B.sh); OLMo 3's vocabulary and context are in the configuration of NCP-OLMo3.
DEEPSEEK3 = {
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "vocab_size": 129280, "hidden_size": 7168,
    "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_attention_heads": 128,
    "num_key_value_heads": 128, "n_shared_experts": 1, "n_routed_experts": 256, "routed_scaling_factor": 2.5,
    "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "v_head_dim": 128, "qk_nope_head_dim": 128,
    "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8, "first_k_dense_replace": 3, "norm_topk_prob": True,
    "hidden_act": "silu", "rms_norm_eps": 1e-6, "max_position_embeddings": 163840, "scoring_func": "sigmoid",
    "tie_word_embeddings": False, "attention_bias": False,
}
GLM4FLASH = {
    "architectures": ["Glm4MoeLiteForCausalLM"], "model_type": "glm4_moe_lite", "vocab_size": 154880, "hidden_size": 2048,
    "intermediate_size": 10240, "moe_intermediate_size": 1536, "num_hidden_layers": 47, "num_attention_heads": 20,
    "num_key_value_heads": 20, "n_shared_experts": 1, "n_routed_experts": 64, "routed_scaling_factor": 1.8,
    "kv_lora_rank": 512, "q_lora_rank": 768, "qk_rope_head_dim": 64, "v_head_dim": 256, "qk_nope_head_dim": 192,
    "n_group": 1, "topk_group": 1, "num_experts_per_tok": 4, "norm_topk_prob": True, "hidden_act": "silu",
    "rms_norm_eps": 1e-5, "max_position_embeddings": 202752, "first_k_dense_replace": 1, "scoring_func": "sigmoid",
    "tie_word_embeddings": False, "attention_bias": False,
}
QWEN35 = {
    "architectures": ["Qwen3_5ForCausalLM"], "model_type": "qwen3_5_text", "vocab_size": 248320, "head_dim": 256,
    "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_num_key_heads": 16,
    "hidden_act": "silu", "rms_norm_eps": 1e-6, "max_position_embeddings": 262144, "tie_word_embeddings": False,
    "full_attention_interval": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 10000000.0,
                                                      "partial_rotary_factor": 0.25, "mrope_section": [11, 11, 10]},
}
QWEN35MOE = {
    **QWEN35, "architectures": ["Qwen3_5MoeForCausalLM"], "model_type": "qwen3_5_moe_text", "hidden_size": 2048,
    "num_hidden_layers": 40, "num_attention_heads": 16, "num_key_value_heads": 2, "linear_num_value_heads": 32,
    "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512, "num_experts_per_tok": 8, "num_experts": 256,
}
MINISTRAL3 = {
    "architectures": ["Ministral3ForCausalLM"], "model_type": "ministral3", "vocab_size": 131072, "head_dim": 128,
    "hidden_act": "silu", "rms_norm_eps": 1e-5, "max_position_embeddings": 262144, "tie_word_embeddings": False,
    "rope_parameters": {"type": "yarn", "rope_type": "yarn", "rope_theta": 1000000.0, "factor": 16.0,
                        "original_max_position_embeddings": 16384, "beta_fast": 32.0, "beta_slow": 1.0,
                        "mscale_all_dim": 1.0, "mscale": 1.0, "llama_4_scaling_beta": 0.1},
}
SMOLLM3 = {
    "architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3", "vocab_size": 128256, "hidden_act": "silu",
    "rms_norm_eps": 1e-6, "max_position_embeddings": 65536, "rope_theta": 5000000.0, "tie_word_embeddings": True,
    "no_rope_layers": [1, 1, 1, 0] * 9, "pad_token_id": 128004,
}
OLMO3 = {
    "architectures": ["Olmo3ForCausalLM"], "model_type": "olmo3", "vocab_size": 100278, "hidden_act": "silu",
    "rms_norm_eps": 1e-6, "max_position_embeddings": 65536, "sliding_window": 4096, "tie_word_embeddings": False,
    "rope_theta": 500000.0, "layer_types": (["sliding_attention"] * 3 + ["full_attention"]) * 8,
    "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192, "beta_fast": 32.0,
                     "beta_slow": 1.0, "attention_factor": 1.2079441541679836},
}
LLAMA4 = {
    "architectures": ["Llama4ForCausalLM"], "model_type": "llama4_text", "vocab_size": 202048, "hidden_size": 5120,
    "intermediate_size": 8192, "intermediate_size_mlp": 16384, "num_hidden_layers": 48, "num_attention_heads": 40,
    "num_key_value_heads": 8, "head_dim": 128, "hidden_act": "silu", "rms_norm_eps": 1e-5,
    "num_experts_per_tok": 1, "num_local_experts": 16, "interleave_moe_layer_step": 1, "use_qk_norm": True,
    "attention_chunk_size": 8192, "floor_scale": 8192, "attn_scale": 0.1, "rope_theta": 500000.0,
    "max_position_embeddings": 131072, "tie_word_embeddings": False, "no_rope_layers": [1, 1, 1, 0] * 12,
}


def mamba(hidden, layers):
    return {"hidden_size": hidden, "num_hidden_layers": layers, "intermediate_size": 2 * hidden,
            "time_step_rank": hidden // 16}


def gpt2(width, layers, heads):
    return {"n_embd": width, "n_layer": layers, "n_head": heads}


# A base, then a row for each size.
GROUPS = [
    (LLAMA, [
        ("LLaMA-7B", 6738415616, llama(4096, 32, 32, 32, 11008, rms_norm_eps=1e-6)),
        ("LLaMA-13B", 13015864320, llama(5120, 40, 40, 40, 13824, rms_norm_eps=1e-6)),
        ("LLaMA-33B", 32528943616, llama(6656, 60, 52, 52, 17920, rms_norm_eps=1e-6)),
        ("LLaMA-65B", 65285660672, llama(8192, 80, 64, 64, 22016)),
        ("Llama-2-7B", 6738415616, llama(4096, 32, 32, 32, 11008, max_position_embeddings=4096)),
        ("Llama-2-13B", 13015864320, llama(5120, 40, 40, 40, 13824, max_position_embeddings=4096)),
        ("Llama-2-70B", 68976648192, llama(8192, 80, 64, 8, 28672, max_position_embeddings=4096)),
        ("Llama-3-8B", 8030261248, llama(4096, 32, 32, 8, 14336, **LLAMA3)),
        ("Llama-3-70B", 70553706496, llama(8192, 80, 64, 8, 28672, **LLAMA3)),
        ("Llama-3.1-8B", 8030261248, llama(4096, 32, 32, 8, 14336, **llama31(8.0))),
        ("Llama-3.1-70B", 70553706496, llama(8192, 80, 64, 8, 28672, **llama31(8.0))),
        ("Llama-3.2-1B", 1235814400, llama(2048, 16, 32, 8, 8192, head_dim=64, **llama31(32.0),
                                           tie_word_embeddings=True)),
        ("Llama-3.2-3B", 3212749824, llama(3072, 28, 24, 8, 8192, head_dim=128, **llama31(32.0),
                                           tie_word_embeddings=True)),
        ("Yi-6B", 6061035520, llama(4096, 32, 32, 4, 11008, vocab_size=64000, max_position_embeddings=4096,
                                    rope_theta=5000000.0)),
        ("Yi-34B", 34388917248, llama(7168, 60, 56, 8, 20480, vocab_size=64000, max_position_embeddings=4096,
                                      rope_theta=5000000.0)),
    ]),
    ({**LLAMA, "architectures": ["MistralForCausalLM"], "model_type": "mistral", "max_position_embeddings": 32768}, [
        ("Mistral-7B-v0.1", 7241732096, llama(4096, 32, 32, 8, 14336, sliding_window=4096, rope_theta=10000.0)),
        ("Mistral-7B-v0.3", 7248023552, llama(4096, 32, 32, 8, 14336, sliding_window=None, rope_theta=1000000.0,
                                              vocab_size=32768)),
    ]),
    ({**LLAMA, "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "num_local_experts": 8,
      "num_experts_per_tok": 2, "sliding_window": None, "rope_theta": 1000000.0}, [
        ("Mixtral-8x7B", 46702792704, llama(4096, 32, 32, 8, 14336, max_position_embeddings=32768)),
        ("Mixtral-8x22B", 140630071296, llama(6144, 56, 48, 8, 16384, max_position_embeddings=65536, vocab_size=32768)),
    ]),
    ({**LLAMA, "architectures": ["InternLMForCausalLM"], "model_type": "internlm", "rms_norm_eps": 1e-6, "bias": True}, [
        ("InternLM-7B", 7321948160, {key: value for key, value in llama(4096, 32, 32, 32, 11008, vocab_size=103168).items()
                                     if key != "num_key_value_heads"}),
    ]),
    ({**LLAMA, "architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", "rope_theta": 1000000, "bias": False,
      "vocab_size": 92544, "max_position_embeddings": 32768}, [
        ("InternLM2-7B", 7737708544, llama(4096, 32, 32, 8, 14336)),
        ("InternLM2-20B", 19861149696, llama(6144, 48, 48, 8, 16384)),
    ]),
    (BAICHUAN, [
        ("Baichuan-7B", 7000559616, {"architectures": ["BaiChuanForCausalLM"], **BAICHUAN7}),
        ("Baichuan-13B", 13264901120, {"architectures": ["BaichuanForCausalLM"], **BAICHUAN13}),
        ("Baichuan2-7B", 7505973248, {"architectures": ["BaichuanForCausalLM"], **BAICHUAN7, "vocab_size": 125696}),
        ("Baichuan2-13B", 13896668160, {"architectures": ["BaichuanForCausalLM"], **BAICHUAN13, "vocab_size": 125696}),
    ]),
    (QWEN, [
        ("Qwen-7B", 7721324544, {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                                 "intermediate_size": 22016}),
        ("Qwen-14B", 14167290880, {"hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 40,
                                   "intermediate_size": 27392, "vocab_size": 152064, "seq_length": 2048,
                                   "max_position_embeddings": 8192}),
    ]),
    (QWEN2, [
        ("Qwen2.5-0.5B", 494032768, llama(896, 24, 14, 2, 4864, tie_word_embeddings=True)),
        ("Qwen2.5-1.5B", 1543714304, llama(1536, 28, 12, 2, 8960, tie_word_embeddings=True)),
        ("Qwen2.5-3B", 3085938688, llama(2048, 36, 16, 2, 11008, tie_word_embeddings=True)),
        ("Qwen2.5-7B", 7615616512, llama(3584, 28, 28, 4, 18944, vocab_size=152064)),
        ("Qwen2.5-14B", 14770033664, llama(5120, 48, 40, 8, 13824, **LARGE_QWEN2)),
        ("Qwen2.5-32B", 32763876352, llama(5120, 64, 40, 8, 27648, **LARGE_QWEN2)),
        ("Qwen2.5-72B", 72706203648, llama(8192, 80, 64, 8, 29568, **LARGE_QWEN2)),
    ]),
    (QWEN2MOE, [
        ("Qwen1.5-MoE-A2.7B", 14315784192, llama(2048, 24, 16, 16, 5632, moe_intermediate_size=1408, num_experts=60,
                                                 shared_expert_intermediate_size=5632, num_experts_per_tok=4)),
        ("Qwen2-57B-A14B", None, llama(3584, 28, 28, 4, 18944, moe_intermediate_size=2560, num_experts=64,
                                              shared_expert_intermediate_size=20480, num_experts_per_tok=8)),
    ]),
    (QWEN3, [
        ("Qwen3-0.6B", 596049920, llama(1024, 28, 16, 8, 3072, tie_word_embeddings=True)),
        ("Qwen3-1.7B", 1720574976, llama(2048, 28, 16, 8, 6144, tie_word_embeddings=True)),
        ("Qwen3-4B", 4022468096, llama(2560, 36, 32, 8, 9728, tie_word_embeddings=True)),
        ("Qwen3-8B", 8190735360, llama(4096, 36, 32, 8, 12288)),
        ("Qwen3-14B", 14768307200, llama(5120, 40, 40, 8, 17408)),
        ("Qwen3-32B", 32762123264, llama(5120, 64, 64, 8, 25600)),
    ]),
    (QWEN3MOE, [
        ("Qwen3-30B-A3B", 30532122624, llama(2048, 48, 32, 4, 6144, moe_intermediate_size=768)),
        ("Qwen3-235B-A22B", 235093634560, llama(4096, 94, 64, 4, 12288, moe_intermediate_size=1536)),
    ]),
    ({"architectures": ["ChatGLMModel"], "model_type": "chatglm"}, [
        ("ChatGLM-6B", 6173286400, {
            "hidden_size": 4096, "inner_hidden_size": 16384, "layernorm_epsilon": 1e-5, "max_sequence_length": 2048,
            "num_attention_heads": 32, "num_layers": 28, "position_encoding_2d": True, "vocab_size": 130528,
            "bos_token_id": 130004, "eos_token_id": 130005, "mask_token_id": 130000, "gmask_token_id": 130001,
            "pad_token_id": 3}),
    ]),
    (CHATGLM2, [
        ("ChatGLM2-6B", 6243584000, {"_name_or_path": "THUDM/chatglm2-6b"}),
        ("ChatGLM3-6B", 6243584000, {"_name_or_path": "THUDM/chatglm3-6b", "seq_length": 8192}),
        ("GLM-4-9B", 9399951360, {"_name_or_path": "THUDM/glm-4-9b-chat", "num_layers": 40, "padded_vocab_size": 151552,
                                  "seq_length": 131072, "layernorm_epsilon": 1.5625e-7, "rope_ratio": 500,
                                  "eos_token_id": [151329, 151336, 151338]}),
    ]),
    (GEMMA, [
        ("Gemma-2B", 2506172416, llama(2048, 18, 8, 1, 16384)),
        ("Gemma-7B", 8537680896, llama(3072, 28, 16, 16, 24576)),
    ]),
    (GEMMA2, [
        ("Gemma-2-2B", 2614341888, llama(2304, 26, 8, 4, 9216)),
        ("Gemma-2-9B", 9241705984, llama(3584, 42, 16, 8, 14336)),
        ("Gemma-2-27B", 27227128320, llama(4608, 46, 32, 16, 36864, head_dim=128, query_pre_attn_scalar=144)),
    ]),
    ({**GEMMA, "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "rope_theta": 1000000,
      "rope_local_base_freq": 10000, "sliding_window_pattern": 6, "query_pre_attn_scalar": 256, "vocab_size": 262144}, [
        ("Gemma-3-1B", 999885952, llama(1152, 26, 4, 1, 6912, sliding_window=512, max_position_embeddings=32768)),
    ]),
    (PHI3, [
        ("Phi-3-mini", 3821079552, llama(3072, 32, 32, 32, 8192)),
        ("Phi-3-medium", 13960238080, llama(5120, 40, 40, 10, 17920)),
    ]),
    (FALCON, [
        ("Falcon-7B", 6921720704, {"hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
                                   "num_kv_heads": 71, "new_decoder_architecture": False}),
        ("Falcon-40B", 41303293952, {"hidden_size": 8192, "num_hidden_layers": 60, "num_attention_heads": 128,
                                     "num_kv_heads": 8, "new_decoder_architecture": True}),
    ]),
    (MPT, [
        ("MPT-7B", 6649286656, {"d_model": 4096, "n_heads": 32, "n_layers": 32, "max_seq_len": 2048}),
        ("MPT-30B", None, {"d_model": 7168, "n_heads": 64, "n_layers": 48, "max_seq_len": 8192}),
    ]),
    (GPT2, [
        ("GPT-2", 124439808, gpt2(768, 12, 12)),
        ("GPT-2-medium", 354823168, gpt2(1024, 24, 16)),
        ("GPT-2-large", 774030080, gpt2(1280, 36, 20)),
        ("GPT-2-xl", 1557611200, gpt2(1600, 48, 25)),
    ]),
    (MAMBA, [
        ("Mamba-130m", 129135360, mamba(768, 24)),
        ("Mamba-370m", 371516416, mamba(1024, 48)),
        ("Mamba-790m", 793204224, mamba(1536, 48)),
        ("Mamba-1.4b", 1372178432, mamba(2048, 48)),
        ("Mamba-2.8b", 2768345600, mamba(2560, 64)),
    ]),
    (STARCODER2, [
        ("StarCoder2-3B", 3030371328, llama(3072, 30, 24, 2, 12288)),
        ("StarCoder2-7B", 7173923840, llama(4608, 32, 36, 4, 18432)),
        ("StarCoder2-15B", 15957889024, llama(6144, 40, 48, 4, 24576, tie_word_embeddings=False)),
    ]),
    (OLMO2, [
        ("OLMo-2-7B", 7298617344, llama(4096, 32, 32, 32, 11008)),
        ("OLMo-2-13B", 13716198400, llama(5120, 40, 40, 40, 13824)),
    ]),
    (DEEPSEEK3, [("DeepSeek-V3", None, {})]),
    (GLM4FLASH, [("GLM-4.7-Flash", None, {})]),
    (QWEN35, [
        ("Qwen3.5-9B", None, llama(4096, 32, 16, 4, 12288, linear_num_value_heads=32)),
        ("Qwen3.5-27B", None, llama(5120, 64, 24, 4, 17408, linear_num_value_heads=48)),
    ]),
    (QWEN35MOE, [("Qwen3.6-35B-A3B", None, {})]),
    (MINISTRAL3, [("Ministral-3-8B", None, llama(4096, 34, 32, 8, 14336))]),
    (SMOLLM3, [("SmolLM3-3B", 3075098624, llama(2048, 36, 16, 4, 11008))]),
    (OLMO3, [("OLMo-3-7B", None, llama(4096, 32, 32, 32, 11008))]),
    (LLAMA4, [("Llama-4-Scout", None, {})]),
]

# Models whose layers differ: fit.py asks llama.cpp about them, and their tensors are not written down.
MIXED = [
    "DeepSeek-V3", "GLM-4.7-Flash", "Qwen3.5-9B", "Qwen3.5-27B", "Qwen3.6-35B-A3B", "Ministral-3-8B", "SmolLM3-3B",
    "OLMo-3-7B", "Llama-4-Scout",
]

# Where transformers has the class under another name, and where the publisher's file is run.
LOAD = {"InternLMForCausalLM": {"model_type": "llama", "attention_bias": True}}
CODE = {
    "InternLM2ForCausalLM": "internlm2-7b InternLM2ForCausalLM",
    "BaiChuanForCausalLM": "baichuan-7b BaiChuanForCausalLM",
    "BaichuanForCausalLM": "baichuan2-13b BaichuanForCausalLM",
    "QWenLMHeadModel": "qwen-7b QWenLMHeadModel",
    "ChatGLM-6B": "chatglm-6b ChatGLMForConditionalGeneration",
    "ChatGLM2-6B": "chatglm2-6b ChatGLMForConditionalGeneration",
    "ChatGLM3-6B": "chatglm3-6b ChatGLMForConditionalGeneration",
    "GLM-4-9B": "chatglm3-6b ChatGLMForConditionalGeneration",
    # transformers 5 keeps the experts of a layer in one tensor, 4.41.2 as they are in checkpoints
    "MixtralForCausalLM": "",
    "Qwen2MoeForCausalLM": "",
}


def published():
    """Name, published parameters, config, publisher's code if that is run."""
    for base, sizes in GROUPS:
        for name, parameters, changes in sizes:
            config = {**base, **changes}
            yield name, parameters, config, CODE.get(name, CODE.get(config["architectures"][0]))
