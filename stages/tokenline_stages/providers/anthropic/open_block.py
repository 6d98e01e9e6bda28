"""What a normalizer remembers of a content block between its start and its stop."""

from typing import Any

from tokenline.events import PartKind, ReasoningDelta, TextDelta

from . import structs

_OWN_KINDS: dict[type, PartKind] = {
    structs.TextDelta: PartKind.TEXT,
    structs.ThinkingDelta: PartKind.REASONING,
    structs.InputJsonDelta: PartKind.TOOL_CALL,
}
_EVENTS: dict[PartKind, type[TextDelta] | type[ReasoningDelta]] = {
    PartKind.TEXT: TextDelta,
    PartKind.REASONING: ReasoningDelta,
}


class OpenBlock:
    """A content block that has started.

    Attributes:
        part: number of its part.
        kind: kind of its part.
        grows_by: wire type whose text becomes an `event` with nothing else to do (the fast way).
        event: the event of that; None for tool calls.
        is_signed: whether a signature was emitted.
    """

    __slots__ = ("event", "grows_by", "is_signed", "kind", "part")

    def __init__(self, part: int, kind: PartKind, grows_by: Any = None) -> None:
        self.part = part
        self.kind = kind
        self.grows_by = grows_by
        self.event = _EVENTS.get(kind)
        self.is_signed = False

    def takes(self, delta: structs.KnownDelta) -> bool:
        """Whether the delta may be of this block; signatures and citations fit any."""
        return _OWN_KINDS.get(type(delta), self.kind) is self.kind


class OpenToolCall(OpenBlock):
    """A tool call that has started.

    Attributes:
        tool_call_id: the provider's id, or one of ours.
        name: the tool's name.
        whole_input: arguments in the block's start, for servers that send no deltas.
        fragments: arguments so far.
        arguments_bytes: their length.
    """

    __slots__ = ("arguments_bytes", "fragments", "name", "tool_call_id", "whole_input")

    def __init__(self, part: int, tool_call_id: str, name: str, whole_input: str) -> None:
        super().__init__(part, PartKind.TOOL_CALL, structs.InputJsonDelta)
        self.tool_call_id = tool_call_id
        self.name = name
        self.whole_input = whole_input
        self.fragments: list[str] = []
        self.arguments_bytes = 0
