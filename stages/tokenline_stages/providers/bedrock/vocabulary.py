"""What Bedrock's words mean in tokenline's vocabulary: stop reasons, usage, exceptions."""

from collections.abc import Mapping
from typing import Any

from tokenline.errors import ProviderError
from tokenline.events import FinishReason, Usage
from tokenline_stages.provider_errors import provider_error

from .invoke import METRICS, Failure

PROVIDER = "aws.bedrock"

FINISH_REASONS: dict[str, FinishReason] = {
    # ConverseStream
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "malformed_tool_use": FinishReason.MALFORMED_TOOL_CALL,
    "malformed_model_output": FinishReason.ERROR,
    "model_context_window_exceeded": FinishReason.CONTEXT_OVERFLOW,
    "refusal": FinishReason.REFUSAL,
    "pause_turn": FinishReason.PAUSE,
    # models invoked directly: Titan, Llama, Mistral, Cohere, OpenAI's form
    "finish": FinishReason.STOP,
    "finished": FinishReason.STOP,
    "stop_criteria_met": FinishReason.STOP,
    "stop": FinishReason.STOP,
    "complete": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "error_toxic": FinishReason.CONTENT_FILTER,
    "error_limit": FinishReason.CONTEXT_OVERFLOW,
    "error": FinishReason.ERROR,
}
"""Stop reasons in lower case; those not listed are `OTHER`."""


_LIKE = {"internalFailure": "internalServerException"}
"""Common AWS errors that mean what an exception of Bedrock's own does."""


def read_reason(raw: str) -> FinishReason:
    """The finish reason for a stop reason of whatever model."""
    return FINISH_REASONS.get(raw.lower(), FinishReason.OTHER)


def _first(counts: Mapping[str, Any], *names: str) -> int | None:
    return next((n for name in names if type(n := counts.get(name)) is int), None)


def _table(counts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = counts.get(name)
    return table if isinstance(table, dict) else {}


def read_usage(raw: dict[str, Any]) -> Usage:
    """Token counts of any form that Bedrock passes on, in the normalized meaning.

    Converse's `inputTokens` leaves out what was read from or written to the cache, unless the
    total shows that it does not; OpenAI's `prompt_tokens` counts it.
    """
    if "prompt_tokens" in raw:
        return _read_openai_usage(raw)
    counts = {**_table(raw, METRICS), **raw}
    fresh = _first(
        counts, "inputTokens", "inputTextTokenCount", "prompt_token_count", "inputTokenCount"
    )
    output = _first(
        counts,
        "outputTokens",
        "totalOutputTextTokenCount",
        "generation_token_count",
        "outputTokenCount",
    )
    total = _first(counts, "totalTokens")
    cached = _first(counts, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _first(counts, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    inclusive = None not in (fresh, output, total) and total == (fresh or 0) + (output or 0)
    extra = 0 if inclusive else (cached or 0) + (written or 0)
    return Usage(
        input_tokens=None if fresh is None else fresh + extra,
        output_tokens=output,
        total_tokens=total,
        cached_input_tokens=cached,
        cache_write_input_tokens=written,
        raw=raw,
    )


def _read_openai_usage(raw: dict[str, Any]) -> Usage:
    return Usage(
        input_tokens=_first(raw, "prompt_tokens"),
        output_tokens=_first(raw, "completion_tokens"),
        total_tokens=_first(raw, "total_tokens"),
        cached_input_tokens=_first(_table(raw, "prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=_first(_table(raw, "completion_tokens_details"), "reasoning_tokens"),
        raw=raw,
    )


def read_failure(failure: Failure) -> ProviderError:
    """The typed error for an exception inside the stream."""
    kind = _LIKE.get(failure.code or "")
    return provider_error(failure.message, provider=PROVIDER, code=failure.code, kind=kind)
