"""A content part while its events still arrive; it can be read as a finished part at any time."""

from collections.abc import Callable, Mapping
from typing import Any

from tokenline.events import (
    Citation,
    PartKind,
    PartStart,
    ProviderBlock,
    ProviderDelta,
    ReasoningData,
    ReasoningDelta,
    ReasoningKind,
    ReasoningSignature,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolKind,
)
from tokenline.json_args import pair_surrogates, parse_arguments, read_json
from tokenline.result import (
    BlockPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    construct,
)

PartEvent = (
    PartStart
    | TextDelta
    | ReasoningDelta
    | ReasoningSignature
    | ReasoningData
    | RefusalDelta
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | ProviderBlock
    | ProviderDelta
    | Citation
)
"""Events that can open a part."""

_KINDS: dict[type, PartKind] = {
    TextDelta: PartKind.TEXT,
    Citation: PartKind.TEXT,
    ReasoningDelta: PartKind.REASONING,
    ReasoningSignature: PartKind.REASONING,
    ReasoningData: PartKind.REASONING,
    RefusalDelta: PartKind.REFUSAL,
    ToolCallStart: PartKind.TOOL_CALL,
    ToolCallDelta: PartKind.TOOL_CALL,
    ToolCallEnd: PartKind.TOOL_CALL,
    ProviderBlock: PartKind.BLOCK,
    ProviderDelta: PartKind.BLOCK,
}
MOST_PIECES = 64
"""How many fragments of a text wait to be joined."""

_CUT = "the response was cut inside the call"


def size_bytes(text: str) -> int:
    """Bytes of `text` as UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class PartDraft:
    """One part as far as it has come.

    Text arrives in pieces that are joined some dozens at a time: short strings take ten times
    the memory of the text in them, and joining all of them each time would not be linear.

    Attributes:
        kind: what the part holds.
        choice: the choice it belongs to.
        provider_id: the provider's id of the block.
        reasoning_kind: where reasoning comes from, if known.
        pieces: the newest fragments of text, or of a tool call's arguments.
        signature: fragments of the provider's seal.
        data: fragments of opaque reasoning content.
        citations: citations, JSON.
        tool_call_id: id of a tool call, or of the call whose result a block is.
        name: name of the tool, or the provider's name of the block.
        tool_kind: who runs the tool.
        complete: whether a tool call came to its end.
        block: the provider's block, JSON.
        provider_data: what else the provider sent for the part, JSON.
    """

    __slots__ = (
        "_joined",
        "_number",
        "block",
        "choice",
        "citations",
        "complete",
        "data",
        "kind",
        "name",
        "pieces",
        "provider_data",
        "provider_id",
        "reasoning_kind",
        "signature",
        "tool_call_id",
        "tool_kind",
    )

    def __init__(self, event: PartEvent) -> None:
        """Open the part that `event` is the first to name."""
        self._number = event.part
        self._joined: list[str] = []
        self.kind = event.kind if isinstance(event, PartStart) else _KINDS[type(event)]
        self.choice = event.choice
        self.provider_id: str | None = None
        self.reasoning_kind: ReasoningKind | None = None
        self.pieces: list[str] = []
        self.signature: list[str] = []
        self.data: list[str] = []
        self.citations: list[bytes] = []
        self.tool_call_id: str | None = None
        self.name = ""
        self.tool_kind = ToolKind.FUNCTION
        self.complete = False
        self.block: bytes | None = None
        self.provider_data: list[bytes] = []
        if isinstance(event, ToolCallDelta | ToolCallEnd):
            self.tool_call_id, self.name = event.tool_call_id, event.name

    def join_pieces(self) -> None:
        """Make one piece of the newest; to be called when there are more than `MOST_PIECES`."""
        self._joined.append("".join(self.pieces))
        self.pieces.clear()

    def build(self) -> Part:
        """The part so far."""
        match self.kind:
            case PartKind.TEXT:
                return self._text()
            case PartKind.REASONING:
                return self._reasoning()
            case PartKind.REFUSAL:
                return self._refusal()
            case PartKind.TOOL_CALL:
                return self._tool_call()
            case PartKind.BLOCK:
                return self._block()

    def _content(self) -> str:
        return pair_surrogates("".join(self._joined) + "".join(self.pieces))

    def _common(self) -> dict[str, Any]:
        return {
            "part": self._number,
            "provider_id": self.provider_id,
            "signature": pair_surrogates("".join(self.signature)) if self.signature else None,
            "citations": tuple(map(read_json, self.citations)),
            "provider_data": tuple(map(read_json, self.provider_data)),
        }

    def _text(self) -> TextPart:
        return construct(TextPart, type="text", text=self._content(), **self._common())

    def _refusal(self) -> RefusalPart:
        return construct(RefusalPart, type="refusal", text=self._content(), **self._common())

    def _reasoning(self) -> ReasoningPart:
        return construct(
            ReasoningPart,
            type="reasoning",
            kind=self.reasoning_kind or ReasoningKind.NATIVE,
            text=self._content(),
            data=pair_surrogates("".join(self.data)) if self.data else None,
            **self._common(),
        )

    def _tool_call(self) -> ToolCall:
        arguments = self._content()
        parsed, parse_error = None, None
        if not self.complete:
            parse_error = _CUT
        elif self.tool_kind is not ToolKind.CUSTOM:
            parsed, parse_error = parse_arguments(arguments)
        return construct(
            ToolCall,
            type="tool_call",
            id=self.tool_call_id or "",
            name=self.name,
            kind=self.tool_kind,
            arguments=arguments,
            parsed=parsed,
            complete=self.complete,
            parse_error=parse_error,
            **self._common(),
        )

    def _block(self) -> BlockPart:
        return construct(
            BlockPart,
            type="block",
            block_type=self.name,
            data=None if self.block is None else read_json(self.block),
            tool_call_id=self.tool_call_id,
            **self._common(),
        )


def _part_start(draft: PartDraft, event: PartStart) -> int:
    draft.reasoning_kind = event.reasoning_kind
    draft.provider_id = event.provider_id
    return 0


def _refusal(draft: PartDraft, event: RefusalDelta) -> int:
    draft.pieces.append(event.text)
    return size_bytes(event.text)


def _signature(draft: PartDraft, event: ReasoningSignature) -> int:
    if event.replace:
        draft.signature.clear()
    draft.signature.append(event.signature)
    return size_bytes(event.signature)


def _data(draft: PartDraft, event: ReasoningData) -> int:
    draft.data.append(event.data)
    return size_bytes(event.data)


def _tool_call_start(draft: PartDraft, event: ToolCallStart) -> int:
    draft.tool_call_id, draft.name = event.tool_call_id, event.name
    draft.tool_kind = event.kind
    draft.provider_id = event.provider_id
    return 0


def _tool_call_end(draft: PartDraft, event: ToolCallEnd) -> int:
    draft.complete = event.complete
    return 0


def _provider_block(draft: PartDraft, event: ProviderBlock) -> int:
    if draft.kind is PartKind.BLOCK:
        draft.block = event.data
        draft.name, draft.tool_call_id = event.type, event.tool_call_id
    else:
        draft.provider_data.append(event.data)
    return len(event.data)


def _provider_delta(draft: PartDraft, event: ProviderDelta) -> int:
    if draft.kind is PartKind.BLOCK and not draft.name:
        draft.name = event.type
    draft.provider_data.append(event.data)
    return len(event.data)


def _citation(draft: PartDraft, event: Citation) -> int:
    draft.citations.append(event.data)
    return len(event.data)


PART_FOLDS: Mapping[type, Callable[[PartDraft, Any], int]] = {
    PartStart: _part_start,
    RefusalDelta: _refusal,
    ReasoningSignature: _signature,
    ReasoningData: _data,
    ToolCallStart: _tool_call_start,
    ToolCallEnd: _tool_call_end,
    ProviderBlock: _provider_block,
    ProviderDelta: _provider_delta,
    Citation: _citation,
}
"""How each event but the hot text deltas changes its draft; gives the bytes that were added."""
