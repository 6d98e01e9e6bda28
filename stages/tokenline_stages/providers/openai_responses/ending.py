"""What the end of a response says: why it ended, what it cost, what went wrong."""

from typing import Any

import msgspec
from msgspec import Raw

from tokenline.errors import ProviderError
from tokenline.events import FinishReason, Usage
from tokenline_stages.provider_errors import provider_error

from . import structs
from .wire import read_error

INCOMPLETE_REASONS = {
    "max_output_tokens": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
"""`incomplete_details.reason`; any other is `OTHER`."""

_STATUSES = ("completed", "incomplete", "failed", "cancelled")
_read_object = msgspec.json.Decoder(dict[str, Any]).decode


def status_of(event: structs.Snapshot) -> str:
    """The final status; the event's own name stands in where the response has none."""
    status = event.response.status if event.response is not None else None
    if status in _STATUSES:
        return str(status)
    return str(event.__struct_config__.tag).removeprefix("response.")


def incomplete_reason(event: structs.Snapshot) -> str | None:
    """The provider's word for why the response is incomplete."""
    response = event.response
    if response is None or response.incomplete_details is None:
        return None
    return response.incomplete_details.reason


def read_usage(data: Raw) -> Usage | None:
    """Token counts; None if there are none.

    The API counts cached tokens as input and reasoning tokens as output, so the totals need no
    correction.
    """
    try:
        raw = _read_object(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not raw:
        return None
    input_details = raw.get("input_tokens_details")
    output_details = raw.get("output_tokens_details")
    return Usage(
        input_tokens=_count(raw, "input_tokens"),
        output_tokens=_count(raw, "output_tokens"),
        total_tokens=_count(raw, "total_tokens"),
        cached_input_tokens=_count(input_details, "cached_tokens"),
        cache_write_input_tokens=_count(input_details, "cache_write_tokens"),
        reasoning_tokens=_count(output_details, "reasoning_tokens"),
        raw=raw,
    )


def _count(counts: object, name: str) -> int | None:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def reported_error(response: structs.Response) -> structs.Error:
    """The error of a failed response."""
    if bytes(response.error).strip() in (b"", b"null", b"{}"):
        return structs.Error("the response failed; the provider does not say why")
    return read_error(response.error)


def typed_error(error: structs.Error, provider: str) -> ProviderError:
    """The exception for a reported error: by its code, else by its type, else by its words."""
    return provider_error(
        error.message, provider=provider, status=error.status, code=error.code, kind=error.kind
    )
