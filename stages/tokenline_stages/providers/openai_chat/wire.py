"""Decodes the events of a Chat Completions stream, straight from bytes.

The types are OpenAI's (`tokenline_stages.providers.openai_chat.chunk`). What a compatible server
sends with other types takes the slow way through `lenient` and comes out in the same structs.

Source: platform.openai.com/docs/api-reference/chat-streaming.
"""

from typing import Any

import msgspec

from tokenline_stages.wire.items import Comment, Done, Unknown

from . import lenient
from .chunk import ChatChunk, ErrorChunk, PlainChunk
from .failures import error_in, read_failure

__all__ = ["ChatChunk", "ChatWire", "ErrorChunk", "PlainFirst", "decode"]

ChatWire = ChatChunk | PlainChunk | ErrorChunk | Unknown | Done | Comment
"""What a parser of chat streams emits."""

_ERROR_EVENT = "error"
_PINGS = frozenset({"ping", "heartbeat", "keepalive", "keep-alive"})
_decode_chunk = msgspec.json.Decoder(ChatChunk).decode
_decode_plain = msgspec.json.Decoder(PlainChunk).decode
_MOST_PASSED_OVER = 64


class PlainFirst:
    """Decodes one response's events, trying the form that nearly all have before any other.

    A chunk of that form becomes a `PlainChunk`, which says what the `ChatChunk` of `decode` would.
    A try that fails costs as much as two decodings, so what follows one is tried ever more seldom.
    """

    __slots__ = ("_left_out", "_step")

    def __init__(self) -> None:
        self._left_out = 0
        self._step = 1

    def decode(self, name: str, data: bytes) -> ChatWire:
        """As the module's `decode`."""
        if self._left_out:
            self._left_out -= 1
        elif not name:
            try:
                return _decode_plain(data)
            except (msgspec.MsgspecError, ValueError):
                self._left_out = self._step
                self._step = min(2 * self._step, _MOST_PASSED_OVER)
        return decode(name, data)


def decode(name: str, data: bytes) -> ChatWire:
    """Decode one event of the stream.

    Args:
        name: the SSE event name, "" if it has none.
        data: the event's data, JSON.

    Raises:
        msgspec.DecodeError: the data is no JSON; what an event named `error` says is the error
            all the same.
        RecursionError: the data is nested too deeply.
    """
    try:
        chunk = _decode_chunk(data)
    except (msgspec.MsgspecError, ValueError):
        return _recover(name, data)
    if chunk.choices and not chunk.error and (not name or name != _ERROR_EVENT):
        return chunk
    return _classify(name, chunk, lenient.read(data), data)


def _recover(name: str, data: bytes) -> ChatWire:
    try:
        value = lenient.read(data)
    except msgspec.DecodeError:
        if name != _ERROR_EVENT:
            raise
        value = data.decode("utf-8", "replace")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        return _classify(name, lenient.build(value), value, data)
    if name == _ERROR_EVENT:
        return read_failure(value, data, {})
    return Unknown(name or type(value).__name__, data)


def _classify(name: str, chunk: ChatChunk, value: dict[str, Any], data: bytes) -> ChatWire:
    error = error_in(value)
    if error is None and name == _ERROR_EVENT:
        error = value
    if error is not None:
        rest = chunk if chunk.choices or chunk.usage else None
        return read_failure(error, data, value, rest)
    if chunk.choices is not None or chunk.usage is not None or chunk.id:
        return chunk
    kind = name or lenient.text_of(value.get("type")) or lenient.text_of(value.get("object"))
    return Comment(data) if kind in _PINGS else Unknown(kind or "object", data)
