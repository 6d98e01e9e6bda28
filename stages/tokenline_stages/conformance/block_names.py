"""The provider's own names for the parts of an answer, in order."""

from __future__ import annotations

from tokenline.events import ReasoningKind, ToolKind
from tokenline.result import BlockPart, Part, ReasoningPart, Result, TextPart, ToolCall

_CALLS = {
    ToolKind.FUNCTION: "function_call",
    ToolKind.CUSTOM: "custom_tool_call",
    ToolKind.SERVER: "server_call",
}


def output_items(result: Result) -> list[str]:
    """Types of OpenAI's output items; parts of one item have its id."""
    types: dict[str | int, str] = {}
    for part in result.content:
        types.setdefault(part.provider_id or part.part, _item(part))
    return list(types.values())


def content_blocks(result: Result) -> list[str]:
    """Types of Anthropic's content blocks."""
    return [_block(part) for part in result.content]


def _item(part: Part) -> str:
    if isinstance(part, BlockPart):
        return part.block_type
    if isinstance(part, ToolCall):
        return _stated_type(part) or _CALLS[part.kind]
    return "reasoning" if isinstance(part, ReasoningPart) else "message"


def _block(part: Part) -> str:
    if isinstance(part, BlockPart):
        return part.block_type
    if isinstance(part, ToolCall):
        default = "server_tool_use" if part.kind is ToolKind.SERVER else "tool_use"
        return _stated_type(part) or default
    if isinstance(part, ReasoningPart):
        return "redacted_thinking" if part.kind is ReasoningKind.REDACTED else "thinking"
    return "text" if isinstance(part, TextPart) else "refusal"


def _stated_type(call: ToolCall) -> str | None:
    """The type in the call's own JSON, which is kept where it says more than a call does."""
    for data in call.provider_data:
        kind = data.get("type") if isinstance(data, dict) else None
        if isinstance(kind, str):
            return kind
    return None
