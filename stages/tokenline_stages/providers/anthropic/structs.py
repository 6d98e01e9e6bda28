"""The events and content blocks of the Anthropic Messages API, as they come over the wire.

Every field may be missing or null. Fields that are handed on as sent stay `msgspec.Raw`.

Sources: docs.claude.com/en/docs/build-with-claude/streaming and the response types of the
official SDK.
"""

from typing import Any

import msgspec
from msgspec import Raw, field

from tokenline_stages.wire.items import Comment, Done, Unknown

ABSENT = Raw()
"""A raw field that was not sent."""


class _Tagged(msgspec.Struct, frozen=True, gc=False, tag_field="type", omit_defaults=True):
    pass


class TextDelta(_Tagged, tag="text_delta", frozen=True):
    """More text."""

    text: str | None = None


class ThinkingDelta(_Tagged, tag="thinking_delta", frozen=True):
    """More thinking; `estimated_tokens` counts on where the text is left out."""

    text: str | None = field(default=None, name="thinking")
    estimated_tokens: int | None = None


class SignatureDelta(_Tagged, tag="signature_delta", frozen=True):
    """The seal on a thinking block."""

    signature: str | None = None


class InputJsonDelta(_Tagged, tag="input_json_delta", frozen=True):
    """A fragment of a tool's arguments, as JSON text."""

    text: str | None = field(default=None, name="partial_json")


class CitationsDelta(_Tagged, tag="citations_delta", frozen=True):
    """One citation of a text block."""

    citation: Raw = ABSENT


KnownDelta = TextDelta | ThinkingDelta | SignatureDelta | InputJsonDelta | CitationsDelta


class MessageHead(msgspec.Struct, frozen=True, gc=False):
    """The message of a `message_start`; its content is always empty."""

    id: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    container: Raw = ABSENT
    context_management: Raw = ABSENT
    input_transformations: Raw = ABSENT


class MessageStart(_Tagged, tag="message_start", frozen=True):
    """The message begins."""

    message: MessageHead | None = None


class ContentBlockStart(_Tagged, tag="content_block_start", frozen=True):
    """A block begins; see `wire.decode_block`."""

    index: int | None = None
    content_block: Raw = ABSENT


class ContentBlockDelta(_Tagged, tag="content_block_delta", frozen=True):
    """A block grows."""

    index: int | None = None
    delta: KnownDelta | None = None


class OtherBlockDelta(msgspec.Struct, frozen=True, gc=False):
    """A block grows by something without a struct of its own (`compaction_delta`, news)."""

    index: int | None
    type: str
    data: bytes


class ContentBlockStop(_Tagged, tag="content_block_stop", frozen=True):
    """A block is over."""

    index: int | None = None


class StopDelta(msgspec.Struct, frozen=True, gc=False):
    """How the message stopped."""

    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw = ABSENT
    container: Raw = ABSENT


class MessageDelta(_Tagged, tag="message_delta", frozen=True):
    """The stop reason, and token counts so far."""

    delta: StopDelta | None = None
    usage: dict[str, Any] | None = None
    context_management: Raw = ABSENT
    input_transformations: Raw = ABSENT


class MessageStop(_Tagged, tag="message_stop", frozen=True):
    """The message is over; Bedrock adds its own counts here."""

    invocation_metrics: Raw = field(default=ABSENT, name="amazon-bedrock-invocationMetrics")


class Ping(_Tagged, tag="ping", frozen=True):
    """The service is alive."""


class ErrorBody(msgspec.Struct, frozen=True, gc=False):
    """What the service says of a failure."""

    type: str | None = None
    message: str | None = None


class Error(_Tagged, tag="error", frozen=True):
    """The response failed."""

    error: ErrorBody | str | None = None
    request_id: str | None = None


class Completion(_Tagged, tag="completion", frozen=True):
    """A chunk of the legacy Text Completions API, which Bedrock's oldest Claude models speak."""

    completion: str | None = None
    stop_reason: str | None = None
    stop: str | None = None
    id: str | None = None
    model: str | None = None


class Watched(msgspec.Struct, frozen=True, gc=False):
    """An event with members that nothing reads, for runs that ask for them; see `unread`.

    Attributes:
        item: the event.
        unread: place and value of each, JSON as sent.
    """

    item: Any
    unread: tuple[tuple[str, bytes], ...]


MessagesWire = (
    MessageStart
    | ContentBlockStart
    | ContentBlockDelta
    | OtherBlockDelta
    | ContentBlockStop
    | MessageDelta
    | MessageStop
    | Ping
    | Error
    | Completion
    | Comment
    | Done
    | Unknown
    | Watched
)
"""Everything that a Messages stream is decoded to."""


class TextBlock(_Tagged, tag="text", frozen=True):
    """Visible text."""

    text: str | None = None
    citations: tuple[Raw, ...] | None = None


class ThinkingBlock(_Tagged, tag="thinking", frozen=True):
    """The model's thinking."""

    thinking: str | None = None
    signature: str | None = None


class RedactedThinkingBlock(_Tagged, tag="redacted_thinking", frozen=True):
    """Thinking that only the provider can read."""

    data: str | None = None


class _ToolBlock(_Tagged, frozen=True):
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    caller: Raw = ABSENT
    server_name: Raw = ABSENT
    toolset_name: Raw = ABSENT


class ToolUseBlock(_ToolBlock, tag="tool_use", frozen=True):
    """A call of one of the caller's tools."""


class ServerToolUseBlock(_ToolBlock, tag="server_tool_use", frozen=True):
    """A call that the provider runs."""


class McpToolUseBlock(_ToolBlock, tag="mcp_tool_use", frozen=True):
    """A call that the provider runs on an MCP server."""


class OtherBlock(msgspec.Struct, frozen=True, gc=False):
    """Any other block; a tool's result names its call."""

    type: str = ""
    tool_use_id: str | None = None


ToolBlock = ToolUseBlock | ServerToolUseBlock | McpToolUseBlock
Block = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolBlock | OtherBlock

KNOWN_BLOCKS = frozenset(
    {
        "advisor_tool_result",
        "bash_code_execution_tool_result",
        "code_execution_tool_result",
        "compaction",
        "container_upload",
        "fallback",
        "mcp_tool_listing",
        "mcp_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "web_fetch_tool_result",
        "web_search_tool_result",
    }
)
"""Types of an `OtherBlock` that the API is known to send."""

KNOWN_DELTAS = frozenset({"compaction_delta"})
"""Types of an `OtherBlockDelta` that the API is known to send."""
