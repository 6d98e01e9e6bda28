"""Names of the fields in a chat stream, for runs that want to hear of every other one.

Fields of the structs become events. Those passed over are known to say nothing that an event
holds: they describe the response as a whole or repeat what stands elsewhere.

Source: platform.openai.com/docs/api-reference/chat-streaming and the servers' references.
"""

from typing import Final

from .chunk import ChatChunk, Choice, Delta

_CHUNK_PASSED_OVER: Final = frozenset(
    {
        "created",
        "object",
        "service_tier",
        "system_fingerprint",
        "obfuscation",
        "type",
        "latency_checkpoint",  # OpenAI, Azure
        "prompt_filter_results",  # Azure
        "timings",  # llama.cpp
        "__verbose",  # llama.cpp
        "prompt_progress",  # llama.cpp
        "stats",  # LM Studio
        "model_info",  # LM Studio
        "runtime",  # LM Studio
        "provider",  # OpenRouter
        "native_finish_reason",  # OpenRouter
        "providerMetadata",  # Vercel
        "generationId",  # Vercel
        "prompt_token_ids",  # vLLM
        "prompt_logprobs",  # vLLM
        "kv_transfer_params",  # vLLM
        "metrics",  # vLLM, SGLang
        "metadata",  # SGLang
        "sglext",  # SGLang
        "nvext",  # Dynamo
        "request_id",  # Z.ai
        "p",  # Mistral: padding
        "input_sensitive",  # MiniMax
        "output_sensitive",  # MiniMax
        "input_sensitive_type",  # MiniMax
        "output_sensitive_type",  # MiniMax
        "output_sensitive_int",  # MiniMax
        "base_resp",  # MiniMax, read where it is an error
        "copilot_usage",  # GitHub Copilot
        "usage_breakdown",  # Groq
    }
)
_CHOICE_PASSED_OVER: Final = frozenset(
    {
        "content_filter_results",  # Azure
        "content_filter_offsets",  # Azure
        "content_filter_result",  # Azure
        "content_filter_raw",  # Fireworks
        "native_finish_reason",  # OpenRouter
        "matched_stop",  # SGLang
        "hidden_states",  # SGLang
        "token_ids",  # vLLM, Fireworks
        "prompt_token_ids",  # vLLM
        "routed_experts",  # vLLM
        "seed",  # Together
        "raw_output",  # Fireworks
    }
)
_DELTA_PASSED_OVER: Final = frozenset(
    {
        "role",
        "name",
        "provider_metadata",  # Vercel
        "token_id",  # Together
        "channel",  # Groq
        "audio_content",  # MiniMax
    }
)

CHUNK_FIELDS: Final = frozenset(ChatChunk.__struct_fields__) | _CHUNK_PASSED_OVER
CHOICE_FIELDS: Final = frozenset(Choice.__struct_fields__) | _CHOICE_PASSED_OVER
DELTA_FIELDS: Final = frozenset(Delta.__struct_fields__) | _DELTA_PASSED_OVER
