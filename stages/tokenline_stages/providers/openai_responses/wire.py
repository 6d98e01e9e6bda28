"""Decoding of the OpenAI Responses stream, straight from each event's JSON.

The SSE event name picks the decoder, and the JSON's own `type` must agree with it. Where it does
not, or where one of the two is missing (OpenRouter sends no names), the `type` decides, then the
name.

Sources: see `structs`.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import get_args

import msgspec
from msgspec import Raw

from tokenline.errors import MalformedStreamError
from tokenline_stages.wire.items import Unknown

from .structs import (
    ABSENT,
    BLOCK_ITEMS,
    BlockDelta,
    CallDelta,
    Error,
    KeepAlive,
    PartDelta,
    Progress,
    ResponsesWire,
    SplitDelta,
    TypedWire,
)

_PROGRESS = (
    "response.apply_patch_call_operation_diff.done",
    "response.audio.done",
    "response.audio.transcript.done",
    "response.code_interpreter_call.completed",
    "response.code_interpreter_call.in_progress",
    "response.code_interpreter_call.interpreting",
    "response.compaction.compacting",
    "response.file_search_call.completed",
    "response.file_search_call.in_progress",
    "response.file_search_call.searching",
    "response.image_generation_call.completed",
    "response.image_generation_call.generating",
    "response.image_generation_call.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.mcp_call.in_progress",
    "response.mcp_list_tools.completed",
    "response.mcp_list_tools.failed",
    "response.mcp_list_tools.in_progress",
    "response.shell_call_command.added",
    "response.shell_call_command.done",
    "response.shell_call_output_content.done",
    "response.web_search_call.completed",
    "response.web_search_call.in_progress",
    "response.web_search_call.searching",
)
_KEEP_ALIVE = ("keepalive", "ping", "response.keepalive")

_ERRORS = ("error", "response.error")

_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


class _Head(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None
    error: Raw = ABSENT


class _Place(msgspec.Struct, frozen=True, gc=False):
    output_index: int | None = None
    item_id: str | None = None


_decode_typed: Callable[[bytes], TypedWire] = msgspec.json.Decoder(TypedWire).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_place = msgspec.json.Decoder(_Place).decode
_decode_json = msgspec.json.Decoder().decode


def decode(name: str, data: bytes) -> ResponsesWire:
    """Decode one event.

    Args:
        name: the SSE event name, or "".
        data: the event's JSON.

    Raises:
        MalformedStreamError: `data` is no JSON, or a known field has an impossible type.
        RecursionError: the JSON is nested deeper than the decoder can follow.
    """
    try:
        return _DECODERS.get(name, _decode_typed)(data)
    except _NOT_DECODED as error:
        return _decode_unusual(name, data, error)


def read_error(data: bytes | Raw) -> Error:
    """The error in `data`: flat, inside `error`, or a bare text. Never fails."""
    try:
        value = _decode_json(data)
    except (*_NOT_DECODED, RecursionError):
        value = None
    outer = value if isinstance(value, dict) else {}
    inner = outer.get("error")
    body = inner if isinstance(inner, dict) else outer
    kind = body.get("type")
    message = body.get("message") or (inner if isinstance(inner, str) else None)
    if not isinstance(message, str):
        message = value if isinstance(value, str) else bytes(data).decode("utf-8", "replace")
    return Error(
        message=message,
        code=_code(body.get("code")),
        kind=kind if isinstance(kind, str) and kind not in _ERRORS else None,
        status=_status(outer.get("status")) or _status(body.get("code")),
    )


def _code(value: object) -> str | None:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value) or None
    return None


def _status(value: object) -> int | None:
    return value if isinstance(value, int) and 400 <= value < 600 else None


def _decode_unusual(name: str, data: bytes, error: Exception) -> ResponsesWire:
    if _HALF.search(data) is not None:
        mended = _mend_halves(data)
        if mended != data:
            return _decode_halves(name, data, mended)
    try:
        _decode_json(data)
    except _NOT_DECODED:
        raise MalformedStreamError(f"event is not JSON: {error}") from error
    try:
        head = _decode_head(data)
    except msgspec.ValidationError:
        return Unknown(name, data)
    return _decode_by_head(head, name, data)


def _decode_by_head(head: _Head, name: str, data: bytes) -> ResponsesWire:
    type_ = head.type or name
    decode_event = _DECODERS.get(type_)
    if decode_event is None:
        if name == "error" or (head.type is None and head.error):
            return read_error(data)
        return Unknown(type_, data)
    try:
        return decode_event(data)
    except _NOT_DECODED as error:
        raise MalformedStreamError(f"event {type_!r} is not as documented: {error}") from error


def _decode_halves(name: str, data: bytes, mended: bytes) -> ResponsesWire:
    event = decode(name, mended)
    if isinstance(event, PartDelta | CallDelta) and isinstance(event.delta, str):
        return SplitDelta(event, json.loads(data)["delta"])
    return event


def _mend_halves(data: bytes) -> bytes:
    """JSON in which U+FFFD stands for halves of a character; `data` itself if it has none."""
    try:
        text = json.dumps(json.loads(data), ensure_ascii=False)
    except (ValueError, RecursionError):
        return data
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _block_delta(type_: str) -> Callable[[bytes], ResponsesWire]:
    def decode_block_delta(data: bytes) -> ResponsesWire:
        place = _decode_place(data)
        return BlockDelta(type_, data, place.output_index, place.item_id)

    return decode_block_delta


def _constant(event: ResponsesWire) -> Callable[[bytes], ResponsesWire]:
    return lambda data: event


def _typed() -> Iterable[tuple[str, Callable[[bytes], ResponsesWire]]]:
    for struct in get_args(TypedWire):
        yield struct.__struct_config__.tag, msgspec.json.Decoder(struct).decode


_DECODERS: dict[str, Callable[[bytes], ResponsesWire]] = {
    **dict(_typed()),
    **{type_: _block_delta(type_) for type_ in BLOCK_ITEMS},
    **{type_: _constant(Progress(type_)) for type_ in _PROGRESS},
    **{type_: _constant(KeepAlive()) for type_ in _KEEP_ALIVE},
    **dict.fromkeys(_ERRORS, read_error),
}
