"""Token counts as a provider itself reports them.

Providers do not mean the same by the same word: Anthropic's `input_tokens` leaves cached ones
out, Gemini's candidates leave out thoughts. Recordings keep each provider's own meaning, so they
are compared with the raw usage object, not with the normalized counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_METRICS = "amazon-bedrock-invocationMetrics"

MEMBERS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "input_tokens": (
            ("prompt_tokens",),
            ("input_tokens",),
            ("inputTokens",),
            ("promptTokenCount",),
            ("prompt_eval_count",),
            ("inputTextTokenCount",),
            ("prompt_token_count",),
            (_METRICS, "inputTokenCount"),
        ),
        "output_tokens": (
            ("completion_tokens",),
            ("output_tokens",),
            ("outputTokens",),
            ("candidatesTokenCount",),
            ("eval_count",),
            ("totalOutputTextTokenCount",),
            ("generation_token_count",),
            (_METRICS, "outputTokenCount"),
        ),
        "total_tokens": (("total_tokens",), ("totalTokens",), ("totalTokenCount",)),
        "cached_tokens": (
            ("prompt_tokens_details", "cached_tokens"),
            ("input_tokens_details", "cached_tokens"),
            ("prompt_cache_hit_tokens",),
            ("cached_tokens",),
            ("cache_read_input_tokens",),
            ("cachedContentTokenCount",),
            ("cacheReadInputTokens",),
            ("cacheReadInputTokenCount",),
            (_METRICS, "cacheReadInputTokenCount"),
        ),
        "cache_write_tokens": (
            ("prompt_tokens_details", "cache_write_tokens"),
            ("input_tokens_details", "cache_write_tokens"),
            ("cache_creation_input_tokens",),
            ("cacheWriteInputTokens",),
            ("cacheWriteInputTokenCount",),
            (_METRICS, "cacheWriteInputTokenCount"),
        ),
        "reasoning_tokens": (
            ("completion_tokens_details", "reasoning_tokens"),
            ("output_tokens_details", "reasoning_tokens"),
            ("output_tokens_details", "thinking_tokens"),
            ("reasoning_tokens",),
            ("thoughtsTokenCount",),
        ),
    }
)
"""Count to the members of a usage object that may hold it; the first that is there counts."""


def own_counts(raw: Mapping[str, Any] | None) -> dict[str, int | None]:
    """The counts of a provider's usage object; None where it has none."""
    return {name: _first(raw or {}, paths) for name, paths in MEMBERS.items()}


def _first(raw: Mapping[str, Any], paths: tuple[tuple[str, ...], ...]) -> int | None:
    for path in paths:
        value: Any = raw
        for member in path:
            value = value.get(member) if isinstance(value, Mapping) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return int(value)
    return None
