"""Notes a run at its end: on the caller's event loop, in microseconds.

The payload is packed here, because the caller may change it afterwards; so are the ids of the
span, which is current only here. Everything else is left to `making`, in the store's thread.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from tokenline.json_args import pair_surrogates
from tokenline.record import RunRecord

_OVERHEAD_BYTES = 4096
"""What a record takes in memory apart from payload and content, roughly."""

_DEEPEST = 100
_MOST_VALUES = 20_000


class Taken(msgspec.Struct, frozen=True):
    """What waits for the store's thread.

    Attributes:
        record: the run's record.
        payload: the request payload, packed.
        trace_id: 32 hex digits, if there is a span.
        span_id: 16 hex digits.
        size_bytes: what it takes in memory, roughly.
    """

    record: RunRecord
    payload: bytes
    trace_id: str | None
    span_id: str | None
    size_bytes: int


def take(record: RunRecord, content: bool) -> Taken:
    """Note what must be noted before the caller goes on; never raises."""
    payload = record.info.payload
    if not content:
        payload = {name: value for name, value in payload.items() if _is_setting(name, value)}
    packed = _pack(payload)
    trace_id, span_id = _span_ids()
    size = _OVERHEAD_BYTES + len(packed) + record.bytes
    return Taken(record, packed, trace_id, span_id, size)


def _is_setting(name: str, value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or (name == "model" and isinstance(value, str))


def _foreign(value: Any) -> Any:
    """What an SDK would make of an object: pydantic models and mappings; else its class."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json", by_alias=True, exclude_unset=True)
    return dict(value) if isinstance(value, Mapping) else f"<{type(value).__name__}>"


_encode = msgspec.msgpack.Encoder(enc_hook=_foreign).encode
unpack = msgspec.msgpack.Decoder().decode
"""The payload again, as plain data."""


def _pack(payload: Mapping[str, Any]) -> bytes:
    try:
        return _encode(payload)
    except RecursionError:
        return _encode("<payload not readable: it contains itself or nests too deep>")
    except Exception:
        # Halves of characters, numbers beyond 64 bits: rare, so the slow way will do.
        return _pack_slowly(payload)


def _pack_slowly(payload: Mapping[str, Any]) -> bytes:
    try:
        return _encode(_Plain().make(payload, _DEEPEST))
    except Exception as error:
        return _encode(f"<payload not readable: {type(error).__name__}>")


class _Plain:
    """Makes data that can be packed; what contains itself must not keep it for ever."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def make(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if not depth or self._left < 0:
            return f"<{type(value).__name__}>"
        if isinstance(value, str):
            return pair_surrogates(value)
        if isinstance(value, int):
            return value if abs(value) < 1 << 63 else str(value)
        if isinstance(value, Mapping):
            return {
                pair_surrogates(str(name)): self.make(inner, depth - 1)
                for name, inner in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.make(inner, depth - 1) for inner in value]
        return value


def _span_ids() -> tuple[str | None, str | None]:
    # Nobody has a span without importing the API; it is not imported to find that out.
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None, None
    span = api.get_current_span().get_span_context()
    if not span.is_valid:
        return None, None
    return format(span.trace_id, "032x"), format(span.span_id, "016x")
