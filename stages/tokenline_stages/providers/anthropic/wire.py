"""Decodes the events of an Anthropic Messages stream straight from their JSON.

The same events come as Server-Sent Events (Anthropic itself, Vertex AI, compatible servers) and
inside AWS event-stream frames (Bedrock InvokeModelWithResponseStream). The event's own `type`
decides, not the SSE event name: Bedrock has none and some proxies get it wrong.

Sources: docs.claude.com/en/docs/build-with-claude/streaming;
docs.aws.amazon.com/bedrock/latest/APIReference, InvokeModelWithResponseStream.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, get_args

import msgspec
from msgspec import Raw, field

from tokenline.errors import LimitExceededError, MalformedStreamError
from tokenline_stages.wire.items import Unknown

from .structs import (
    ABSENT,
    Block,
    Completion,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Error,
    ErrorBody,
    KnownDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    MessagesWire,
    OtherBlock,
    OtherBlockDelta,
    Ping,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolBlock,
)


class EventFrame(Protocol):
    """What `decode_frame` needs of an AWS event-stream message."""

    @property
    def headers(self) -> Mapping[str, object]:
        """Headers by name."""
        ...

    @property
    def payload(self) -> bytes:
        """The frame's body."""
        ...


class _Head(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None
    error: Raw = ABSENT
    completion: Raw = ABSENT


class _LooseDelta(msgspec.Struct, frozen=True, gc=False):
    index: int | None = None
    delta: Raw = ABSENT


class _Chunk(msgspec.Struct, frozen=True, gc=False):
    event: bytes | None = field(default=None, name="bytes")  # base64, decoded by msgspec


class _Fault(msgspec.Struct, frozen=True, gc=False):
    message: str | None = None
    original: str | None = field(default=None, name="originalMessage")


_Known = (
    MessageStart
    | ContentBlockStart
    | ContentBlockDelta
    | ContentBlockStop
    | MessageDelta
    | MessageStop
    | Ping
    | Error
    | Completion
)
_decode_known: Callable[[bytes], MessagesWire] = msgspec.json.Decoder(_Known).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_loose_delta = msgspec.json.Decoder(_LooseDelta).decode
_decode_any = msgspec.json.Decoder(Raw).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_fault = msgspec.json.Decoder(_Fault).decode
_decode_known_block: Callable[[Raw], Block] = msgspec.json.Decoder(
    TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolBlock
).decode
_decode_other_block = msgspec.json.Decoder(OtherBlock).decode

_BY_NAME: dict[str, Callable[[bytes], MessagesWire]] = {
    str(event.__struct_config__.tag): msgspec.json.Decoder(event).decode
    for event in get_args(_Known)
}
_DELTA_TAGS = frozenset(delta.__struct_config__.tag for delta in get_args(KnownDelta))
_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError)


def decode(name: str, data: bytes) -> MessagesWire:
    """Decode one event.

    Args:
        name: the SSE event name; used only where the JSON names no type itself.
        data: the event's JSON.

    Raises:
        MalformedStreamError: `data` is no JSON, or a known field has an impossible type.
        LimitExceededError: the JSON is nested deeper than the decoder can follow.
    """
    try:
        try:
            return _decode_known(data)
        except _NOT_DECODED as error:
            return _decode_unusual(name, data, error)
    except RecursionError:
        raise LimitExceededError(
            "an event's JSON is nested too deeply to decode", limit="max_json_depth"
        ) from None


def decode_frame(
    frame: EventFrame, decode_event: Callable[[str, bytes], MessagesWire] = decode
) -> MessagesWire:
    """Decode one AWS event-stream frame of Bedrock's InvokeModelWithResponseStream.

    The payload of an event is `{"bytes": BASE64}` around the same JSON as in an SSE event. Frames
    whose `:message-type` is `exception` or `error` become an `Error`.

    Raises:
        MalformedStreamError: the payload is no such JSON.
        LimitExceededError: see `decode`.
    """
    headers = frame.headers
    if headers.get(":message-type", "event") != "event":
        return _frame_error(headers, frame.payload)
    try:
        event = _decode_chunk(frame.payload).event
    except (*_NOT_DECODED, RecursionError) as error:
        raise MalformedStreamError(f"frame payload is not a chunk: {error}") from error
    if event is None:
        return Unknown(str(headers.get(":event-type", "")), frame.payload)
    return decode_event("", event)


def decode_block(data: Raw) -> Block:
    """The block of a `content_block_start`; anything unexpected is an `OtherBlock`."""
    try:
        return _decode_known_block(data)
    except (*_NOT_DECODED, RecursionError):
        pass
    try:
        return _decode_other_block(data)
    except (*_NOT_DECODED, RecursionError):
        return OtherBlock()


def is_json(text: str) -> bool:
    """Whether `text` is one whole JSON value. Linear in its length, builds nothing."""
    try:
        _decode_any(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _decode_unusual(name: str, data: bytes, error: Exception) -> MessagesWire:
    try:
        _decode_any(data)
        head = _decode_head(data)
    except msgspec.ValidationError:
        return Unknown(name, data)
    except _NOT_DECODED:
        raise MalformedStreamError(f"event is not JSON: {error}") from error
    return _decode_by_head(head, name, data)


def _decode_by_head(head: _Head, name: str, data: bytes) -> MessagesWire:
    type_ = head.type or _implied_type(head, name)
    try:
        decode_event = _BY_NAME[type_]
    except KeyError:
        return Unknown(type_, data)
    try:
        return decode_event(data)
    except _NOT_DECODED as error:
        if type_ == "content_block_delta":
            return _decode_other_delta(data, error)
        if type_ == "error":
            return Error(bytes(head.error).decode("utf-8", "replace"))
        raise MalformedStreamError(f"event {type_!r} is not as documented: {error}") from error


def _implied_type(head: _Head, name: str) -> str:
    if name in _BY_NAME:
        return name
    if head.error:
        return "error"
    return "completion" if head.completion else name


def _decode_other_delta(data: bytes, error: Exception) -> OtherBlockDelta:
    try:
        loose = _decode_loose_delta(data)
        type_ = _decode_head(loose.delta).type
        if type_ is not None and type_ not in _DELTA_TAGS:
            return OtherBlockDelta(loose.index, type_, bytes(loose.delta))
    except _NOT_DECODED:
        pass
    raise MalformedStreamError(f"delta is not as documented: {error}") from error


def _frame_error(headers: Mapping[str, object], payload: bytes) -> Error:
    code = headers.get(":exception-type") or headers.get(":error-code")
    try:
        fault = _decode_fault(payload)
    except (*_NOT_DECODED, RecursionError):
        fault = _Fault()
    message = fault.message or fault.original or headers.get(":error-message")
    text = str(message) if message else payload.decode("utf-8", "replace")
    return Error(ErrorBody(None if code is None else str(code), text))
