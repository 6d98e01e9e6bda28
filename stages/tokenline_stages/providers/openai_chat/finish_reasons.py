"""Finish reasons of OpenAI and of the servers that bring words of their own."""

from collections.abc import Mapping
from types import MappingProxyType

from tokenline.events import FinishReason

_WORDS: dict[FinishReason, tuple[str, ...]] = {
    FinishReason.STOP: (
        "stop",
        "eos",
        "eos_token",
        "end_turn",
        "stop_sequence",
        "complete",
        "completed",
    ),
    FinishReason.LENGTH: (
        "length",
        "max_tokens",
        "max_output_tokens",
        "model_length",  # Mistral
    ),
    FinishReason.TOOL_CALLS: ("tool_calls", "function_call", "tool_use", "tool_call"),
    FinishReason.CONTENT_FILTER: (
        "content_filter",
        "content_filtered",
        "sensitive",  # Z.ai
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
    ),
    FinishReason.REFUSAL: ("refusal",),
    FinishReason.PAUSE: ("pause", "pause_turn"),
    FinishReason.CONTEXT_OVERFLOW: (
        "model_context_window_exceeded",
        "context_length_exceeded",
    ),
    FinishReason.MALFORMED_TOOL_CALL: ("malformed_function_call", "malformed_tool_call"),
    FinishReason.ERROR: (
        "error",
        "abort",  # vLLM, SGLang
        "network_error",  # Z.ai
        "insufficient_system_resource",  # DeepSeek
    ),
}

FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {word: reason for reason, words in _WORDS.items() for word in words}
)
"""By the provider's word in lower case; any other word is `OTHER`."""

CLEAN = frozenset({FinishReason.STOP, FinishReason.TOOL_CALLS})
"""Reasons that say that the model stopped of itself."""


def read_reason(raw: str) -> FinishReason:
    """The common reason for the provider's word."""
    return FINISH_REASONS.get(raw.lower(), FinishReason.OTHER)
