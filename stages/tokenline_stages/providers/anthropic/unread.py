"""What an event holds that nothing reads; looked for only where a run asks for it.

It reads every event twice, so only strict runs and those that pass unknown input on use it.
"""

from collections.abc import Callable, Iterator
from typing import get_args

import msgspec
from msgspec import Raw

from tokenline.stage import StepContext
from tokenline_stages.wire.unread import unread_members

from . import structs
from .wire import EventFrame, decode, decode_frame

_TYPE = frozenset({"type"})
_HEAD = frozenset(structs.MessageHead.__struct_encode_fields__) | {
    *("type", "role", "content", "stop_reason", "stop_sequence", "stop_details")
}
_STOP = frozenset(structs.StopDelta.__struct_encode_fields__)
_ERROR = frozenset(structs.ErrorBody.__struct_encode_fields__)
_BESIDE: dict[type, set[str]] = {structs.Completion: {"log_id", "amazon-bedrock-invocationMetrics"}}
_EVENTS: dict[type, frozenset[str]] = {
    event: _TYPE | set(event.__struct_encode_fields__) | _BESIDE.get(event, set())
    for event in (
        structs.MessageStart,
        structs.ContentBlockStart,
        structs.ContentBlockDelta,
        structs.ContentBlockStop,
        structs.MessageDelta,
        structs.MessageStop,
        structs.Ping,
        structs.Error,
        structs.Completion,
    )
} | {structs.OtherBlockDelta: _TYPE | {"index", "delta"}}
_TAGGED: dict[str, frozenset[str]] = {
    str(kind.__struct_config__.tag): _TYPE | set(kind.__struct_encode_fields__)
    for kind in (
        *get_args(structs.KnownDelta),
        *(structs.TextBlock, structs.ThinkingBlock, structs.RedactedThinkingBlock),
        *get_args(structs.ToolBlock),
    )
}


class _Inner(msgspec.Struct, frozen=True, gc=False):
    message: Raw = Raw()
    delta: Raw = Raw()
    content_block: Raw = Raw()
    error: Raw = Raw()


class _Tag(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None


_inner = msgspec.json.Decoder(_Inner)
_tag = msgspec.json.Decoder(_Tag)


def decode_watched(name: str, data: bytes) -> structs.MessagesWire:
    """As `wire.decode`; an event with unread members becomes a `Watched`."""
    item = decode(name, data)
    known = _EVENTS.get(type(item))
    if known is None:
        return item
    unread = (*unread_members(data, known), *_unread_inside(item, _inner.decode(data)))
    return structs.Watched(item, unread) if unread else item


def decode_watched_frame(frame: EventFrame) -> structs.MessagesWire:
    """As `wire.decode_frame`; an event with unread members becomes a `Watched`."""
    return decode_frame(frame, decode_watched)


def decoder_of(context: StepContext) -> Callable[[str, bytes], structs.MessagesWire]:
    """The decoder for a run: one that looks for unread members only if somebody hears of them."""
    return decode_watched if _asks(context) else decode


def frame_decoder_of(context: StepContext) -> Callable[[EventFrame], structs.MessagesWire]:
    """The same for AWS event-stream frames."""
    return decode_watched_frame if _asks(context) else decode_frame


def _asks(context: StepContext) -> bool:
    return context.strict or context.pass_unknown


def _unread_inside(item: object, inner: _Inner) -> Iterator[tuple[str, bytes]]:
    if isinstance(item, structs.MessageStart):
        yield from _placed("message", inner.message, _HEAD)
    elif isinstance(item, structs.MessageDelta):
        yield from _placed("delta", inner.delta, _STOP)
    elif isinstance(item, structs.ContentBlockDelta):
        yield from _tagged("delta", inner.delta)
    elif isinstance(item, structs.ContentBlockStart):
        yield from _tagged("content_block", inner.content_block)
    elif isinstance(item, structs.Error):
        yield from _placed("error", inner.error, _ERROR)


def _tagged(place: str, data: Raw) -> Iterator[tuple[str, bytes]]:
    """Those of a delta or block; one of an unknown type is handed on whole, or unknown itself."""
    try:
        known = _TAGGED.get(_tag.decode(data).type or "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if known is not None:
        yield from _placed(place, data, known)


def _placed(place: str, data: Raw, known: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    for name, value in unread_members(data, known):
        yield f"{place}.{name}", value
