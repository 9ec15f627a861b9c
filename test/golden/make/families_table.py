"""The checkpoints of families.py: a config.json as the family's publishers write it, and who computes the reference.

`tokenizer` and `bos` are how the family's texts become tokens. `code` names the publisher's modelling files that are
run (see families.py); without it transformers' own are. `load` is what transformers reads in place of `config`, where
the publisher's class has no counterpart by name but one by what it computes; `rename` then leads from the names of
that class to the publisher's.
"""

# Few and small, but such that no two lengths are equal where a mistake could hide behind it.
SIZES = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
LLAMA = {**SIZES, **HEADS, "intermediate_size": 96, "hidden_act": "silu", "max_position_embeddings": 512,
         "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False}
QWEN2 = {**LLAMA, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "use_sliding_window": False, "sliding_window": 512,
         "max_window_layers": 2, "attention_dropout": 0.0}
QWEN3 = {**LLAMA, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "head_dim": 16, "attention_bias": False,
         "use_sliding_window": False, "sliding_window": None, "max_window_layers": 2}
GEMMA = {**SIZES, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 96,
         "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "bos_token_id": 2,
         "eos_token_id": 1, "pad_token_id": 0}
BAICHUAN = {"vocab_size": 320, "hidden_act": "silu", "rms_norm_eps": 1e-6, "model_type": "baichuan",
            "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
CHATGLM2 = {
    "architectures": ["ChatGLMModel"], "model_type": "chatglm", "add_bias_linear": False, "add_qkv_bias": True,
    "apply_query_key_layer_scaling": True, "apply_residual_connection_post_layernorm": False, "attention_dropout": 0.0,
    "attention_softmax_in_fp32": True, "bias_dropout_fusion": True, "ffn_hidden_size": 96,
    "fp32_residual_connection": False, "hidden_dropout": 0.0, "hidden_size": 32, "kv_channels": 16,
    "layernorm_epsilon": 1e-5, "multi_query_attention": True, "multi_query_group_num": 2, "num_attention_heads": 4,
    "num_layers": 2, "original_rope": True, "padded_vocab_size": 320, "post_layer_norm": True, "rmsnorm": True,
    "seq_length": 512, "use_cache": True, "tie_word_embeddings": False, "eos_token_id": 2, "pad_token_id": 0,
}
# Heads that are as wide together as the embedding, as in all that was published: llama.cpp loads no others.
CHATGLM_PUBLISHED = {**CHATGLM2, "kv_channels": 8}
NEOX_TOKENS = {"bos_token_id": 0, "eos_token_id": 0}

FAMILIES = {
    "llama": {
        "tokenizer": "spm", "bos": True,
        "config": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **LLAMA, "rope_scaling": None},
    },
    # As transformers 5 writes it: RoPE's numbers have an object of their own.
    "llama-3.2": {
        "tokenizer": "llama-3", "bos": True,
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama",
            **{key: value for key, value in LLAMA.items() if key != "rope_theta"},
            "tie_word_embeddings": True, "head_dim": 8, "attention_bias": False, "mlp_bias": False,
            "rope_parameters": {
                "rope_theta": 500000.0, "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
            },
            "bos_token_id": 0, "eos_token_id": [0], "dtype": "bfloat16",
        },
    },
    "mistral": {
        "tokenizer": "spm", "bos": True,
        "config": {"architectures": ["MistralForCausalLM"], "model_type": "mistral", **LLAMA, "sliding_window": 24},
    },
    "mixtral": {
        "tokenizer": "spm", "bos": True,
        "config": {
            "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", **LLAMA, "intermediate_size": 64,
            "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None, "output_router_logits": False,
            "router_aux_loss_coef": 0.02,
        },
    },
    "yi": {
        "tokenizer": "spm", "bos": False,
        "config": {"architectures": ["YiForCausalLM"], "model_type": "Yi", **LLAMA, "rope_theta": 5000000.0},
        "load": {"model_type": "llama"},
        "rename": {".input_layernorm.": ".ln1.", ".post_attention_layernorm.": ".ln2."},
    },
    "internlm": {
        "tokenizer": "spm", "bos": True,
        "config": {
            "architectures": ["InternLMForCausalLM"], "model_type": "internlm",
            **{key: value for key, value in LLAMA.items() if key not in ("rope_theta", "num_key_value_heads")},
            "rms_norm_eps": 1e-6, "bias": True,
        },
        "load": {"model_type": "llama", "attention_bias": True, "rope_theta": 10000.0},
        "rename": {},
    },
    "internlm2": {
        "tokenizer": "spm", "bos": True, "code": "internlm2-7b InternLM2ForCausalLM",
        "config": {
            "architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", **LLAMA, "num_attention_heads": 8,
            "rope_theta": 1000000, "rope_scaling": None, "bias": False, "attn_implementation": "eager",
        },
    },
    # llama.cpp tells RoPE from ALiBi by the number of layers, so there must be 32 or 40 of them.
    "baichuan-7b": {
        "tokenizer": "spm", "bos": False, "code": "baichuan-7b BaiChuanForCausalLM",
        "config": {
            "architectures": ["BaiChuanForCausalLM"], **BAICHUAN, "hidden_size": 16, "num_hidden_layers": 32,
            "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 4096,
        },
    },
    "baichuan2-13b": {
        "tokenizer": "spm", "bos": False, "code": "baichuan2-13b BaichuanForCausalLM",
        "config": {
            "architectures": ["BaichuanForCausalLM"], **BAICHUAN, "hidden_size": 12, "num_hidden_layers": 40,
            "num_attention_heads": 3, "intermediate_size": 32, "model_max_length": 4096, "z_loss_weight": 0,
        },
    },
    "qwen": {
        "tokenizer": "qwen2", "bos": False, "code": "qwen-7b QWenLMHeadModel",
        "config": {
            "architectures": ["QWenLMHeadModel"], "model_type": "qwen", "hidden_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 4, "kv_channels": 8, "intermediate_size": 192, "vocab_size": 320,
            "layer_norm_epsilon": 1e-6, "max_position_embeddings": 1024, "seq_length": 512, "no_bias": True,
            "rotary_emb_base": 10000, "rotary_pct": 1.0, "scale_attn_weights": True, "use_dynamic_ntk": True,
            "use_logn_attn": True, "use_flash_attn": False, "attn_dropout_prob": 0.0, "emb_dropout_prob": 0.0,
            "tie_word_embeddings": False, "use_cache": True,
        },
    },
    "qwen2": {
        "tokenizer": "qwen2", "bos": False,
        "config": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", **QWEN2, **NEOX_TOKENS},
    },
    "qwen2-tied": {
        "tokenizer": "qwen2", "bos": False,
        "config": {
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", **QWEN2, **NEOX_TOKENS,
            "tie_word_embeddings": True,
            "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
        },
    },
    "qwen2-moe": {
        "tokenizer": "qwen2", "bos": False,
        "config": {
            "architectures": ["Qwen2MoeForCausalLM"], "model_type": "qwen2_moe", **QWEN2, **NEOX_TOKENS,
            "decoder_sparse_step": 1, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 64,
            "num_experts_per_tok": 2, "num_experts": 5, "norm_topk_prob": False, "output_router_logits": False,
            "router_aux_loss_coef": 0.001, "mlp_only_layers": [], "qkv_bias": True,
        },
    },
    "qwen3": {
        "tokenizer": "qwen2", "bos": False,
        "config": {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", **QWEN3, **NEOX_TOKENS},
    },
    "qwen3-tied": {
        "tokenizer": "qwen2", "bos": False,
        "config": {
            "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", **QWEN3, **NEOX_TOKENS,
            "tie_word_embeddings": True,
        },
    },
    "qwen3-moe": {
        "tokenizer": "qwen2", "bos": False,
        "config": {
            "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", **QWEN3, **NEOX_TOKENS,
            "decoder_sparse_step": 1, "moe_intermediate_size": 32, "num_experts_per_tok": 3, "num_experts": 6,
            "norm_topk_prob": True, "output_router_logits": False, "router_aux_loss_coef": 0.001, "mlp_only_layers": [],
        },
    },
    "chatglm": {
        "tokenizer": "ice", "bos": True, "code": "chatglm-6b ChatGLMForConditionalGeneration",
        "config": {
            "architectures": ["ChatGLMModel"], "model_type": "chatglm", "hidden_size": 32, "inner_hidden_size": 128,
            "layernorm_epsilon": 1e-5, "max_sequence_length": 512, "num_attention_heads": 4, "num_layers": 3,
            "position_encoding_2d": True, "vocab_size": 320, "bos_token_id": 7, "eos_token_id": 8,
            "mask_token_id": 4, "gmask_token_id": 5, "pad_token_id": 3, "use_cache": True,
        },
    },
    "chatglm2": {
        "tokenizer": "spm", "bos": False, "code": "chatglm2-6b ChatGLMForConditionalGeneration",
        "config": {"_name_or_path": "THUDM/chatglm2-6b", **CHATGLM2},
    },
    # Positions are divided by rope_ratio; the modelling file at hand has no such field, see families_publishers.py.
    "chatglm2-32k": {
        "tokenizer": "spm", "bos": False, "code": "chatglm2-6b ChatGLMForConditionalGeneration",
        "config": {"_name_or_path": "THUDM/chatglm2-6b-32k", **CHATGLM_PUBLISHED, "rope_ratio": 5},
    },
    "chatglm3": {
        "tokenizer": "spm", "bos": False, "code": "chatglm3-6b ChatGLMForConditionalGeneration",
        "config": {"_name_or_path": "THUDM/chatglm3-6b", **CHATGLM_PUBLISHED, "multi_query_group_num": 1},
    },
    # THUDM's layout and names, which transformers has not; what it computes is transformers' GLM.
    "glm-4": {
        "tokenizer": "dbrx", "bos": False,
        "config": {
            "_name_or_path": "THUDM/glm-4-9b-chat", **CHATGLM_PUBLISHED, "layernorm_epsilon": 1.5625e-7, "rope_ratio": 500,
            "eos_token_id": [0],
        },
        "load": {
            "model_type": "glm", "vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 96,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "partial_rotary_factor": 0.5,
            "attention_bias": True, "rope_theta": 5000000.0, "rms_norm_eps": 1.5625e-7, "hidden_act": "silu",
            "max_position_embeddings": 512, "tie_word_embeddings": False, "pad_token_id": 0,
        },
        "rename": {
            "model.layers.": "transformer.encoder.layers.",
            "model.embed_tokens.": "transformer.embedding.word_embeddings.",
            "model.norm.": "transformer.encoder.final_layernorm.",
            "lm_head.": "transformer.output_layer.",
            ".self_attn.o_proj.": ".self_attention.dense.",
            ".mlp.gate_up_proj.": ".mlp.dense_h_to_4h.",
            ".mlp.down_proj.": ".mlp.dense_4h_to_h.",
        },
        "join": ("model.layers.{i}.self_attn.{part}_proj.", "qkv", "transformer.encoder.layers.{i}.self_attention.query_key_value."),
    },
    "glm-4-hf": {
        "tokenizer": "dbrx", "bos": False,
        "config": {
            "architectures": ["GlmForCausalLM"], "model_type": "glm", **SIZES, **HEADS, "intermediate_size": 96,
            "head_dim": 16, "partial_rotary_factor": 0.5, "attention_bias": True, "rope_theta": 10000.0,
            "rms_norm_eps": 1.5625e-7, "hidden_act": "silu", "max_position_embeddings": 512,
            "tie_word_embeddings": False, "pad_token_id": 0, "eos_token_id": [0],
        },
    },
    "gemma": {
        "tokenizer": "spm gemma", "bos": True,
        "config": {
            "architectures": ["GemmaForCausalLM"], "model_type": "gemma", **GEMMA, "hidden_act": "gelu",
            "hidden_activation": None,
        },
    },
    "gemma2": {
        "tokenizer": "spm gemma", "bos": True,
        "config": {
            "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", **GEMMA, "num_key_value_heads": 2,
            "hidden_activation": "gelu_pytorch_tanh", "hidden_act": "gelu_pytorch_tanh", "num_hidden_layers": 3,
            "sliding_window": 24, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0, "cache_implementation": "hybrid",
        },
    },
    "gemma3": {
        "tokenizer": "spm gemma", "bos": True,
        "config": {
            "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", **GEMMA, "num_hidden_layers": 7,
            "hidden_size": 24, "intermediate_size": 64, "hidden_activation": "gelu_pytorch_tanh", "rope_theta": 1000000,
            "rope_local_base_freq": 10000, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "sliding_window": 24, "sliding_window_pattern": 6, "query_pre_attn_scalar": 24,
            "attn_logit_softcapping": None, "final_logit_softcapping": None, "cache_implementation": "hybrid",
        },
    },
    # The models that see, text alone. config.json leaves out what is usual.
    "gemma3-vision": {
        "tokenizer": "spm gemma", "bos": True,
        "config": {
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "eos_token_id": [1],
            "image_token_index": 319, "boi_token_index": 318, "eoi_token_index": 317, "mm_tokens_per_image": 4,
            "text_config": {
                "model_type": "gemma3_text", "vocab_size": 320, "hidden_size": 24, "num_hidden_layers": 7,
                "intermediate_size": 64, "head_dim": 16, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                "sliding_window": 24, "query_pre_attn_scalar": 16,
            },
            "vision_config": {
                "model_type": "siglip_vision_model", "hidden_size": 16, "image_size": 28, "intermediate_size": 16,
                "num_attention_heads": 2, "num_hidden_layers": 1, "patch_size": 14, "vision_use_head": False,
            },
        },
    },
    "phi3": {
        "tokenizer": "spm", "bos": True,
        "config": {
            "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", **LLAMA, "sliding_window": 24,
            "original_max_position_embeddings": 512, "rope_scaling": None, "attention_bias": False, "embd_pdrop": 0.0,
            "resid_pdrop": 0.0, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
        },
    },
    # Stretched: beyond the original context, and up to it.
    "phi3-long": {
        "tokenizer": "spm", "bos": True,
        "config": {
            "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", **LLAMA, "sliding_window": 512,
            "original_max_position_embeddings": 32, "attention_bias": False, "bos_token_id": 1, "eos_token_id": 2,
            "pad_token_id": 2,
            "rope_scaling": {
                "type": "longrope", "long_factor": [1.5, 3.0, 9.0, 30.0], "short_factor": [1.0, 1.1, 1.4, 2.0],
            },
        },
    },
    "phi3-short": {
        "tokenizer": "spm", "bos": True,
        "config": {
            "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", **LLAMA, "max_position_embeddings": 4096,
            "sliding_window": None, "original_max_position_embeddings": 512, "attention_bias": False,
            "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "tie_word_embeddings": True,
            "partial_rotary_factor": 0.75,
            "rope_scaling": {
                "type": "longrope", "long_factor": [1.5, 4.0, 12.0], "short_factor": [1.0, 1.2, 2.0],
            },
        },
    },
    "falcon-7b": {
        "tokenizer": "falcon", "bos": False,
        "config": {
            "architectures": ["FalconForCausalLM"], "model_type": "falcon", **SIZES, "num_attention_heads": 4,
            "alibi": False, "bias": False, "layer_norm_epsilon": 1e-5, "multi_query": True,
            # what the published file says; multi_query overrules it
            "num_kv_heads": 4,
            "new_decoder_architecture": False, "parallel_attn": True, "attention_dropout": 0.0, "hidden_dropout": 0.0,
            **NEOX_TOKENS,
        },
    },
    "falcon-40b": {
        "tokenizer": "falcon", "bos": False,
        "config": {
            "architectures": ["FalconForCausalLM"], "model_type": "falcon", **SIZES, "num_attention_heads": 8,
            "num_kv_heads": 2, "alibi": False, "bias": False, "layer_norm_epsilon": 1e-5, "multi_query": True,
            "new_decoder_architecture": True, "parallel_attn": True, "attention_dropout": 0.0, "hidden_dropout": 0.0,
            **NEOX_TOKENS,
        },
    },
    "mpt": {
        "tokenizer": "gpt-neox", "bos": False,
        "config": {
            "architectures": ["MPTForCausalLM"], "model_type": "mpt", "d_model": 24, "n_heads": 6, "n_layers": 2,
            "expansion_ratio": 4, "max_seq_len": 512, "vocab_size": 320, "no_bias": True, "learned_pos_emb": True,
            "attn_config": {
                "alibi": True, "alibi_bias_max": 8, "attn_impl": "torch", "attn_pdrop": 0,
                "attn_type": "multihead_attention", "attn_uses_sequence_id": False, "clip_qkv": 1.0, "prefix_lm": False,
                "qk_ln": False, "softmax_scale": None,
            },
        },
    },
    "gpt2": {
        "tokenizer": "gpt-2", "bos": False,
        "config": {
            "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new", "n_ctx": 512,
            "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 512, "layer_norm_epsilon": 1e-5, "vocab_size": 320,
            **NEOX_TOKENS,
        },
        "rename": {"transformer.": ""},
    },
    "mamba": {
        "tokenizer": "gpt-neox", "bos": False,
        "config": {
            "architectures": ["MambaForCausalLM"], "model_type": "mamba", **SIZES, "intermediate_size": 64,
            "state_size": 16, "conv_kernel": 4, "time_step_rank": 3, "use_bias": False, "use_conv_bias": True,
            "layer_norm_epsilon": 1e-5, "hidden_act": "silu", "residual_in_fp32": True, "tie_word_embeddings": True,
            **NEOX_TOKENS,
        },
    },
    "starcoder2": {
        "tokenizer": "starcoder", "bos": False,
        "config": {
            "architectures": ["Starcoder2ForCausalLM"], "model_type": "starcoder2", **SIZES, **HEADS,
            "intermediate_size": 96, "hidden_act": "gelu_pytorch_tanh", "activation_function": "gelu_pytorch_tanh",
            "max_position_embeddings": 512, "norm_epsilon": 1e-5, "norm_type": "layer_norm", "rope_theta": 999999.44,
            "sliding_window": 24, "use_bias": True, "tie_word_embeddings": True, "attention_dropout": 0.0,
            "embedding_dropout": 0.0, "residual_dropout": 0.0, **NEOX_TOKENS,
        },
    },
    "olmo2": {
        "tokenizer": "dbrx", "bos": False,
        "config": {
            "architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2", **LLAMA, "rms_norm_eps": 1e-6,
            "rope_theta": 500000, "rope_scaling": None, "attention_bias": False, **NEOX_TOKENS, "pad_token_id": 0,
        },
    },
}
