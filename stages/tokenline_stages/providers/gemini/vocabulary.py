"""What Gemini's words mean in tokenline's vocabulary: finish reasons, usage, errors."""

from typing import Any

from tokenline.errors import ProviderError
from tokenline.events import FinishReason, Usage
from tokenline_stages.provider_errors import provider_error

from . import wire

FINISH_REASONS: dict[str, FinishReason] = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "LANGUAGE": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "IMAGE_RECITATION": FinishReason.CONTENT_FILTER,
    "MALFORMED_FUNCTION_CALL": FinishReason.MALFORMED_TOOL_CALL,
    "UNEXPECTED_TOOL_CALL": FinishReason.MALFORMED_TOOL_CALL,
    "MALFORMED_RESPONSE": FinishReason.ERROR,
    "MISSING_THOUGHT_SIGNATURE": FinishReason.ERROR,
    "TOO_MANY_TOOL_CALLS": FinishReason.OTHER,
    "IMAGE_OTHER": FinishReason.OTHER,
    "NO_IMAGE": FinishReason.OTHER,
    "OTHER": FinishReason.OTHER,
}
"""Gemini's finish reasons; those not listed are `OTHER`. STOP after a call is `TOOL_CALLS`."""

BLOCK_TYPES = frozenset(
    {
        "executableCode",
        "codeExecutionResult",
        "inlineData",
        "fileData",
        "functionResponse",
        "toolCall",
        "toolResponse",
    }
)
"""Parts that become provider blocks; `data` is the whole part as sent."""


def _add(first: Any, second: Any) -> int | None:
    if type(first) is not int:
        return second if type(second) is int else None
    return first + second if type(second) is int else first


def read_usage(usage: dict[str, Any]) -> Usage:
    """Token counts from a `usageMetadata` object, in the normalized meaning."""
    get = usage.get
    thoughts = get("thoughtsTokenCount")
    total = get("totalTokenCount")
    cached = get("cachedContentTokenCount")
    return Usage(
        input_tokens=_add(get("promptTokenCount"), get("toolUsePromptTokenCount")),
        output_tokens=_add(get("candidatesTokenCount"), thoughts),
        total_tokens=total if type(total) is int else None,
        cached_input_tokens=cached if type(cached) is int else None,
        reasoning_tokens=thoughts if type(thoughts) is int else None,
        raw=usage,
    )


def read_failure(error: wire.Error | str, provider: str) -> ProviderError:
    """The typed error for an error object of Gemini, or for the bare text that proxies send."""
    if isinstance(error, str):
        error = wire.Error(error)
    return provider_error(
        error.message or error.status or "an error without a message",
        provider=provider,
        status=error.code if isinstance(error.code, int) else None,
        code=error.status or (error.code if isinstance(error.code, str) else None),
        retry_after_s=wire.retry_after_s(error),
    )
