"""Token counts of the Messages API in the common meaning."""

from collections.abc import Mapping
from typing import Any

from tokenline.events import Usage


def merge_usage(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """The counts so far: a later value replaces, a null one does not.

    Counts of `message_delta` are cumulative, and fields that do not apply are left out
    (docs.claude.com/en/docs/build-with-claude/streaming).
    """
    merged = dict(earlier)
    merged.update((k, v) for k, v in later.items() if v is not None or k not in merged)
    return merged


def normalize_usage(raw: dict[str, Any]) -> Usage:
    """The API's usage object in the common meaning; `raw` is kept in it.

    Total input is `input_tokens` + `cache_read_input_tokens` + `cache_creation_input_tokens`
    (docs.claude.com/en/docs/build-with-claude/prompt-caching). The total is input + output. What
    is not reported stays None.
    """
    total_input = _count(raw, "input_tokens")
    output = _count(raw, "output_tokens")
    read = _count(raw, "cache_read_input_tokens")
    written = _count(raw, "cache_creation_input_tokens")
    details = raw.get("output_tokens_details")
    if total_input is not None:
        total_input += (read or 0) + (written or 0)
    return Usage(
        input_tokens=total_input,
        output_tokens=output,
        total_tokens=None if total_input is None or output is None else total_input + output,
        cached_input_tokens=read,
        cache_write_input_tokens=written,
        reasoning_tokens=_count(details, "thinking_tokens") if isinstance(details, dict) else None,
        raw=raw,
    )


def _count(raw: Mapping[str, Any], key: str) -> int | None:
    value = raw.get(key)
    return value if type(value) is int else None
