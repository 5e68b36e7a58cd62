"""Makes a tiny model with random weights of each causal class of the installed transformers, without a download."""

from typing import Any

import torch
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

CLASSES = dict(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)  # model type -> name of its class
WINDOW = 8  # as in _NAMES

_NAMES = {  # size -> the members of configurations that get it
    99: "vocab_size vocab_size_per_layer_input",
    64: "intermediate_size ffn_dim n_inner d_ff dim_ff ffn_hidden_size decoder_ffn_dim encoder_ffn_dim "
    "feed_forward_size d_inner max_position_embeddings n_positions max_seq_len n_ctx",
    32: "hidden_size d_model n_embd dim embed_dim embedding_size hidden_dim attention_hidden_size dim_model emb_dim",
    16: "moe_intermediate_size shared_expert_intermediate_size moe_shared_expert_intermediate_size "
    "shared_intermediate_size expert_ffn_hidden_size mamba_d_state state_size hidden_size_per_layer_input",
    8: "head_dim kv_lora_rank q_lora_rank qk_rope_head_dim qk_nope_head_dim v_head_dim linear_head_dim "
    "global_head_dim index_head_dim sliding_window window_size attention_chunk_size sliding_window_size "
    "keep_window_size floor_scale block_size index_block_size",
    4: "num_hidden_layers n_layer n_layers num_layers decoder_layers encoder_layers num_decoder_layers "
    "num_attention_heads n_head n_heads num_heads decoder_attention_heads encoder_attention_heads "
    "num_experts num_local_experts n_routed_experts moe_num_experts linear_num_heads",
    2: "num_key_value_heads num_experts_per_tok top_k_experts moe_k moe_topk attn_layer_period",
    1: "n_group topk_group first_k_dense_replace attn_layer_offset n_shared_experts",
}
SMALL = {name: size for size, names in _NAMES.items() for name in names.split()}
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
INDEXER = {"indexer_kv_heads": 1, "indexer_head_dim": 8} | {
    f"indexer_{x}": 4 for x in ("n_heads", "budget", "compress_ratio")
}
DRAFT = {"text_config": {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0, "num_kv_shared_layers": 0}}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0, "original_max_position_embeddings": 8} | {
    "llama_4_scaling_beta": 0.1
}
ROPE = {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}

SPECIAL: dict[str, dict[str, Any]] = {  # model type -> what its configuration needs beside the small sizes
    "blt": {"encoder_hash_byte_group_vocab": 99},
    "bamba": {"mamba_n_heads": 4},
    "codegen": {"rotary_dim": 8},
    "cohere_compass_text": {"rope_parameters": ROPE},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8},
        "ffn_config": {"ffn_hidden_size": 32},
    },
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "gemma3n_text": {"num_hidden_layers": 10, "num_kv_shared_layers": 5},
    "gemma4_assistant": DRAFT,
    "gemma4_unified_assistant": DRAFT,
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "gptj": {"rotary_dim": 8},
    "granitemoehybrid": {"mamba_n_heads": 4},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "lfm2": {"layer_types": ["full_attention", "conv"] * 2},
    "lfm2_moe": {"layer_types": ["full_attention", "conv"] * 2},
    "mamba2": {"num_heads": 8},
    "ministral": {"head_dim": 8},
    "ministral3": {"rope_parameters": YARN},
    "nemotron": {"num_key_value_heads": 2},
    "qwen4_exp_text": INDEXER,
    "reformer": {"axial_pos_embds": False, "attn_layers": ["local"] * 4, "attention_head_size": 8},
    "xlm": {"causal": True},
    "xlstm": {"hidden_size": 128, "embedding_dim": 128, "num_heads": 2},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"layers_block_type": ["linear_attention", "linear_attention", "hybrid", "hybrid"]},
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid"] * 2},
    "zaya": {"num_experts_per_tok": 1},
}


def tiny_model(model_type: str, **changes: Any) -> Any:
    """A model of the class for `model_type`, with the attention that the service chooses.

    `changes` are of its configuration. Raises what transformers raises if it cannot build the class.
    """
    special = SPECIAL.get(model_type, {}) | changes
    try:
        default = CONFIG_MAPPING[model_type]()
    except Exception:  # its defaults contradict each other
        default = CONFIG_MAPPING[model_type](**special)
    config = tiny_config(default, special)
    architecture: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    config._attn_implementation = "sdpa" if architecture._supports_sdpa else "eager"
    torch.manual_seed(1)
    model: Any = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:  # larger than trained weights: what a token sees then decides the next one
                weight.normal_(std=1.2 / weight.shape[-1] ** 0.5)
            elif not weight.isfinite().all():  # some classes leave them undefined
                weight.fill_(1)
    return model.eval()


def tiny_config(config: PreTrainedConfig, special: dict[str, Any]) -> Any:
    """A small configuration of the same class as `config`, and so are those in it."""
    values = {key for key, value in config.to_dict().items() if type(value) is int}
    sizes: dict[str, Any] = {key: size for key, size in (SMALL | TOKENS).items() if key in values}
    if "is_decoder" in vars(config):
        sizes["is_decoder"] = True
    if "kv_lora_rank" in sizes:
        sizes["num_key_value_heads"] = sizes["num_attention_heads"]  # its keys have all heads
    parts = {key: part for key, part in vars(config).items() if isinstance(part, PreTrainedConfig)}
    for key, part in parts.items():
        sizes[key] = tiny_config(part, SPECIAL.get(part.model_type, {}) | special.get(key, {})).to_dict()
        sizes[key].pop("per_layer_config", None)  # of the layers that are left out
    return type(config)(**sizes | {key: value for key, value in special.items() if key not in parts})
