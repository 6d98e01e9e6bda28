"""Token counts of Chat Completions servers, in one meaning."""

from collections.abc import Mapping
from typing import Any

from tokenline.events import Usage

from .lenient import number_of

_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")


def _count(fields: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        count = number_of(fields.get(name))
        if count is not None and count >= 0:
            return count
    return None


def _details(raw: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        found = raw.get(name)
        if isinstance(found, dict):
            return found
    return {}


def read_usage(raw: dict[str, Any]) -> Usage:
    """Read a usage object.

    OpenAI's names first, then those of DeepSeek (`prompt_cache_hit_tokens`), Moonshot
    (`cached_tokens`), Perplexity (`reasoning_tokens`) and gateways to Anthropic
    (`cache_creation_input_tokens`). Where a server counts reasoning apart from the completion
    (xAI: total = prompt + completion + reasoning), `output_tokens` is the sum.
    """
    details_in = _details(raw, _INPUT_DETAILS)
    details_out = _details(raw, _OUTPUT_DETAILS)
    read = _count(raw, "prompt_tokens", "input_tokens")
    written = _count(raw, "completion_tokens", "output_tokens")
    total = _count(raw, "total_tokens")
    reasoning = _count(details_out, "reasoning_tokens")
    if reasoning is None:
        reasoning = _count(raw, "reasoning_tokens")
    if reasoning and written is not None and total == (read or 0) + written + reasoning:
        written += reasoning
    cached = _count(details_in, "cached_tokens")
    if cached is None:
        names = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
        cached = _count(raw, *names)
    saved = _count(details_in, "cache_write_tokens", "cache_creation_tokens")
    if saved is None:
        saved = _count(raw, "cache_creation_input_tokens")
    return Usage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=total,
        cached_input_tokens=cached,
        cache_write_input_tokens=saved,
        reasoning_tokens=reasoning,
        raw=raw,
    )


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            merged[name] = {**before, **{k: v for k, v in value.items() if v is not None}}
        elif value is not None or before is None:
            merged[name] = value
    return merged


class UsageLedger:
    """What a server has said of usage so far: a later count replaces, a null does not erase."""

    __slots__ = ("_raw",)

    def __init__(self) -> None:
        self._raw: dict[str, Any] | None = None

    def take(self, report: dict[str, Any]) -> Usage | None:
        """Counts after `report`; None if it brought nothing new."""
        merged = _merge(self._raw or {}, report)
        if merged == self._raw:
            return None
        self._raw = merged
        return read_usage(merged)
