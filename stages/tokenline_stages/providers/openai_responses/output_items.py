"""The output items of a response and their content parts, as JSON on the wire.

Items come in `response.output_item.added` and `.done` and, all of them again, in the final
response. Items without a struct of their own are handed on as sent.

Sources: developers.openai.com/api/reference/resources/responses, `ResponseOutputItem`; the types
of the official SDK.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Item(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    id: str | None = None
    status: str | None = None


class MessageItem(_Item, tag="message", frozen=True):
    """Visible text and refusals; `content` holds parts as JSON."""

    content: list[Raw] | None = None


class ReasoningItem(_Item, tag="reasoning", frozen=True):
    """Thinking: a summary of it, the text itself, an opaque copy of it, or nothing."""

    summary: list[Raw] | None = None
    content: list[Raw] | None = None
    encrypted_content: str | None = None


class CallItem(_Item, frozen=True):
    """A call whose arguments are streamed."""

    call_id: str | None = None
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class FunctionCallItem(CallItem, tag="function_call", frozen=True):
    """A call of the caller's function; the arguments are JSON."""


class CustomCallItem(CallItem, tag="custom_tool_call", frozen=True):
    """A call of the caller's custom tool; the arguments are free text."""

    arguments: str | dict[str, Any] | None = msgspec.field(default=None, name="input")


class McpCallItem(CallItem, tag="mcp_call", frozen=True):
    """A call of an MCP server's tool, made by the provider."""


class CodeCallItem(CallItem, tag="code_interpreter_call", frozen=True):
    """Code that the provider runs."""

    arguments: str | dict[str, Any] | None = msgspec.field(default=None, name="code")


TypedItem = (
    MessageItem | ReasoningItem | FunctionCallItem | CustomCallItem | McpCallItem | CodeCallItem
)
"""Items with a struct of their own, told apart by `type`."""


class OtherItem(msgspec.Struct, frozen=True, gc=False):
    """Any other item."""

    type: str = "unknown"
    id: str | None = None
    status: str | None = None
    call_id: str | None = None
    execution: str | None = None


OutputItem = TypedItem | OtherItem
"""Any output item."""


class ContentPart(msgspec.Struct, frozen=True, gc=False):
    """A part of a message or of a reasoning item."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: tuple[Raw, ...] | None = None


_decode_typed: Callable[[Raw], TypedItem] = msgspec.json.Decoder(TypedItem).decode
_decode_other = msgspec.json.Decoder(OtherItem).decode
_decode_part = msgspec.json.Decoder(ContentPart).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode

_PLACED = frozenset(
    {
        "arguments",
        "call_id",
        "content",
        "encrypted_content",
        "id",
        "input",
        "name",
        "role",
        "status",
        "summary",
        "type",
    }
)
_EMPTY = frozenset({b"", b"null", b"[]", b"{}", b'""'})


def decode_item(data: Raw) -> OutputItem:
    """Read an output item; what fits no struct is an `OtherItem`. Never fails."""
    try:
        return _decode_typed(data)
    except _NOT_DECODED:
        pass
    try:
        return _decode_other(data)
    except _NOT_DECODED:
        return OtherItem()


def decode_part(data: Raw) -> ContentPart:
    """Read a content part; the type is "" where it is not as documented. Never fails."""
    try:
        return _decode_part(data)
    except _NOT_DECODED:
        return ContentPart()


def extra_fields(data: Raw) -> dict[str, bytes]:
    """Fields of an item that no event has a place for, such as `phase` or `namespace`."""
    try:
        fields = _decode_fields(data)
    except _NOT_DECODED:
        return {}
    extras = {name: bytes(value) for name, value in fields.items() if name not in _PLACED}
    return {name: value for name, value in extras.items() if value not in _EMPTY}


def type_of(item: OutputItem) -> str:
    """The item's `type` on the wire."""
    return item.type if isinstance(item, OtherItem) else str(item.__struct_config__.tag)
