"""Wire types of Ollama's `/api/chat` and `/api/generate`.

The body is NDJSON. Every line is an object with what is new; the last has `done: true` and the
statistics. Source: docs.ollama.com/api/chat, /api/generate, /api/streaming and /api/errors.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from tokenline.errors import LimitExceededError, MalformedStreamError
from tokenline_stages.wire.items import Unknown
from tokenline_stages.wire.unread import unread_members


class Function(msgspec.Struct, frozen=True, gc=False):
    """The function of a call; `arguments` is a JSON object (or, from some servers, its text)."""

    name: str | None = None
    arguments: Raw = Raw()


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """A whole call. Only newer servers send an `id`."""

    function: Function | None = None
    id: str | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """What is new in a chat's answer."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    images: Raw = Raw()


class Statistics(msgspec.Struct, frozen=True, gc=False):
    """Token counts, and durations in nanoseconds."""

    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None


class Line(Statistics, frozen=True, gc=False):
    """One line of either API: `message` is of a chat; `response`, `thinking`... of a generate."""

    model: str | None = None
    message: Message | None = None
    response: str | None = None
    thinking: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    done: bool | None = None
    done_reason: str | None = None
    context: Raw = Raw()
    image: Raw = Raw()
    logprobs: Raw = Raw()
    error: Any = None
    unread: tuple[tuple[str, bytes], ...] = msgspec.field(name="//", default=())  # no line's name


Item = Line | Unknown


class _HasMessage(msgspec.Struct, frozen=True, gc=False):
    message: Raw = Raw()


_T = TypeVar("_T")
_LINE = frozenset(Line.__struct_encode_fields__) | {
    "completed",
    "created_at",
    "remote_host",
    "remote_model",
    "total",
}
_MESSAGE = frozenset(Message.__struct_encode_fields__) | {"role", "tool_name"}
_message = msgspec.json.Decoder(_HasMessage)
_line = msgspec.json.Decoder(Line)
_text = msgspec.json.Decoder(str)
_members = msgspec.json.Decoder(dict[str, Raw])


def decode(name: str, line: bytes) -> Item:
    """Read one line.

    Args:
        name: empty; lines have no names.
        line: the line's JSON.

    Raises:
        MalformedStreamError: not a JSON object, or a known field of an impossible type.
        LimitExceededError: JSON nested deeper than the decoder can follow.
    """
    item = _read(_line, line)
    if (
        item.message is None
        and item.response is None
        and item.done is None
        and item.error is None
        and item.thinking is None
    ):
        members: dict[str, Raw] = _read(_members, line)
        return Unknown(next(iter(members), name or "line"), line)
    return item


def decode_all(name: str, line: bytes) -> Item:
    """As `decode`; `unread` of the line has the members that nothing else reads, as sent."""
    item = decode(name, line)
    if isinstance(item, Line):
        message = _message.decode(line).message
        found = (*unread_members(line, _LINE), *unread_members(message, _MESSAGE))
        msgspec.structs.force_setattr(item, "unread", found)
    return item


def read_arguments(raw: Raw) -> str:
    """A call's arguments as JSON text, as sent; empty if there are none.

    Raises:
        MalformedStreamError: the text is not UTF-8.
    """
    data = bytes(raw)
    if data == b"null":
        return ""
    if data[:1] == b'"':
        return _read(_text, data)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedStreamError(f"arguments of a call are not UTF-8: {error}") from error


def _read(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedStreamError(f"not a line of Ollama's API: {error}") from error
    except RecursionError:
        raise LimitExceededError(
            "a line of Ollama's API is nested too deeply", limit="max_json_depth"
        ) from None
