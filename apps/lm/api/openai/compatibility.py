"""Parameters of OpenAI's API and of vLLM's that this service does not compute, with the values that change no answer.

Clients send many of them unasked. A test compares these tables with the schemas of both.
"""

from typing import Annotated, Any

from apps.lm.api.openai.only import EMPTY, Ignored, Only
from apps.lm.api.schemas import Body


class OtherParameters(Body):
    """Of both requests."""

    user: Ignored = None
    # vLLM's
    use_beam_search: Annotated[Any, Only(False)] = None
    watermarking: Annotated[Any, Only(False)] = None
    length_penalty: Ignored = None  # of beams
    stop_token_ids: Annotated[Any, EMPTY] = None
    include_stop_str_in_output: Annotated[Any, Only(False)] = None
    skip_special_tokens: Annotated[Any, Only(True)] = None
    spaces_between_special_tokens: Ignored = None  # which are skipped
    truncate_prompt_tokens: Annotated[Any, Only()] = None
    truncation_side: Ignored = None
    prompt_logprobs: Annotated[Any, Only()] = None
    logprob_token_ids: Annotated[Any, Only()] = None
    allowed_token_ids: Annotated[Any, Only()] = None
    bad_words: Annotated[Any, EMPTY] = None
    structured_outputs: Annotated[Any, Only()] = None
    thinking_token_budget: Annotated[Any, Only(-1)] = None
    repetition_detection: Annotated[Any, Only()] = None
    priority: Annotated[Any, Only(0)] = None
    request_id: Ignored = None
    session_id: Ignored = None
    cache_salt: Ignored = None
    stream_interval: Annotated[Any, Only(1)] = None
    return_tokens_as_token_ids: Annotated[Any, Only(False)] = None
    return_token_ids: Annotated[Any, Only(False)] = None
    return_token_offsets: Ignored = None
    return_mm_kwargs: Ignored = None
    routed_experts_prompt_start: Ignored = None
    kv_transfer_params: Annotated[Any, EMPTY] = None
    ec_transfer_params: Annotated[Any, EMPTY] = None
    vllm_xargs: Annotated[Any, EMPTY] = None


class OtherCompletionParameters(OtherParameters):
    """Of /v1/completions."""

    suffix: Annotated[Any, EMPTY] = None
    # vLLM's
    prompt_embeds: Annotated[Any, EMPTY] = None
    add_special_tokens: Annotated[Any, Only(True)] = None


class OtherChatParameters(OtherParameters):
    """Of /v1/chat/completions."""

    audio: Annotated[Any, EMPTY] = None
    function_call: Annotated[Any, Only("none", "auto")] = None
    functions: Annotated[Any, EMPTY] = None
    metadata: Ignored = None
    modalities: Annotated[Any, Only(["text"])] = None
    moderation: Annotated[Any, EMPTY] = None
    prediction: Ignored = None  # saves time only
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    reasoning_effort: Annotated[Any, Only("none")] = None
    safety_identifier: Ignored = None
    service_tier: Ignored = None
    store: Ignored = None
    verbosity: Annotated[Any, Only("medium")] = None
    web_search_options: Annotated[Any, Only()] = None
    # vLLM's
    include_reasoning: Ignored = None
    echo: Annotated[Any, Only(False)] = None
    add_generation_prompt: Annotated[Any, Only(True)] = None
    continue_final_message: Annotated[Any, Only(False)] = None
    add_special_tokens: Annotated[Any, Only(False)] = None
    documents: Annotated[Any, EMPTY] = None
    chat_template: Annotated[Any, Only()] = None
    chat_template_kwargs: Annotated[Any, EMPTY] = None
    media_io_kwargs: Annotated[Any, EMPTY] = None
    mm_processor_kwargs: Annotated[Any, EMPTY] = None
    return_prompt_text: Annotated[Any, Only(False)] = None
