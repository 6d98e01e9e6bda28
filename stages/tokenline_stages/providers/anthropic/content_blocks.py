"""Content blocks of one response: each becomes a part.

Parts are numbered in the order in which their blocks start, and blocks may overlap. A missing
index stands for the block last started. A delta for a block that never started, or is of another
kind, gets a part of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tokenline.events import (
    Citation,
    PartKind,
    ProviderBlock,
    ProviderDelta,
    ReasoningData,
    ReasoningKind,
    ReasoningSignature,
)
from tokenline.stage import StepContext

from . import structs, wire
from .messages_emission import MessagesEmission
from .open_block import OpenBlock, OpenToolCall
from .tool_calls import ToolCalls

_DISPLAYS = {"summarized": ReasoningKind.SUMMARY, "omitted": ReasoningKind.OMITTED}


class ContentBlocks:
    """Emits the events of content blocks.

    Attributes:
        open: blocks that have started and not stopped, by index.
        grow_call: adds a fragment of arguments to a tool call.
    """

    __slots__ = (
        "_emission",
        "_last_index",
        "_last_part",
        "_pass_unknown",
        "_reasoning_kind",
        "_stop_reason",
        "_tool_calls",
        "grow_call",
        "open",
    )

    def __init__(self, emission: MessagesEmission, context: StepContext) -> None:
        self._emission = emission
        self._pass_unknown = context.pass_unknown
        self._reasoning_kind = _reasoning_kind(context.payload)
        self._tool_calls = ToolCalls(emission, context.limits.max_arguments_bytes)
        self.grow_call = self._tool_calls.grow
        self._last_index = -1
        self._last_part = -1
        self._stop_reason: str | None = None
        self.open: dict[int | None, OpenBlock] = {}

    @property
    def any_started(self) -> bool:
        """Whether the response has any block."""
        return self._last_part >= 0

    def start(self, item: structs.ContentBlockStart) -> None:
        """Begin a block."""
        index = self._last_index + 1 if item.index is None else item.index
        self._make_room(index)
        raw = item.content_block
        block = wire.decode_block(raw)
        if isinstance(block, structs.TextBlock):
            self.start_text(index, block)
        elif isinstance(block, structs.ThinkingBlock):
            self._start_thinking(index, block)
        elif isinstance(block, structs.RedactedThinkingBlock):
            self._start_redacted(index, block)
        elif isinstance(block, structs.OtherBlock):
            self._start_other(index, block, bytes(raw) or b"null")
        else:
            self._track(index, self._tool_calls.start(block, bytes(raw)))

    def grow(self, item: structs.ContentBlockDelta) -> None:
        """Take a delta of a known type."""
        delta = item.delta
        if delta is None:
            return
        index = self._last_index if item.index is None else item.index
        block = self.open.get(index)
        if block is not None and block.kind is PartKind.BLOCK:
            type_ = str(delta.__struct_config__.tag)
            self._emission.emit(ProviderDelta, block.part, type_, msgspec.json.encode(delta))
            return
        if block is None or not block.takes(delta):
            block = self._start_for(index, delta)
        _GROWERS[type(delta)](self, block, delta)

    def grow_otherwise(self, item: structs.OtherBlockDelta) -> None:
        """Take a delta without a struct of its own."""
        if item.type not in structs.KNOWN_DELTAS:
            self._emission.count_unknown(item.type, item.data)
        index = self._last_index if item.index is None else item.index
        block = self.open.get(index)
        if block is None:
            self._make_room(index)
            block = self._start_part(index, PartKind.BLOCK)
        self._emission.emit(ProviderDelta, block.part, item.type, item.data)

    def stop(self, item: structs.ContentBlockStop) -> None:
        """End a block."""
        self._close(self._last_index if item.index is None else item.index)

    def settle(self, stop_reason: str) -> None:
        """The message has stopped: what was held back of tool calls is certain now."""
        self._stop_reason = stop_reason
        self._tool_calls.settle(stop_reason)

    def close_all(self) -> None:
        """The message is over, and all its blocks with it."""
        for index in self._open_indexes():
            self._close(index)
        self._tool_calls.release()

    def abandon(self) -> None:
        """The message was cut: open tool calls end incomplete, other parts stay open."""
        self._tool_calls.abandon_held()
        for index in self._open_indexes():
            block = self.open.pop(index)
            if isinstance(block, OpenToolCall):
                self._tool_calls.abandon(block)

    def start_text(self, index: int, block: structs.TextBlock) -> OpenBlock:
        """Begin a text block."""
        opened = self._start_part(index, PartKind.TEXT, structs.TextDelta)
        self._emission.text(opened.part, block.text or "")
        for citation in block.citations or ():
            self._emission.emit(Citation, opened.part, bytes(citation))
        return opened

    def _start_thinking(self, index: int, block: structs.ThinkingBlock) -> OpenBlock:
        # Token estimates are looked for only where they can be passed on.
        grows_by = None if self._pass_unknown else structs.ThinkingDelta
        kind = self._reasoning_kind
        opened = self._start_part(index, PartKind.REASONING, grows_by, kind)
        self._emission.reasoning(opened.part, block.thinking or "")
        self._sign(opened, block.signature)
        return opened

    def _start_redacted(self, index: int, block: structs.RedactedThinkingBlock) -> None:
        kind = ReasoningKind.REDACTED
        opened = self._start_part(index, PartKind.REASONING, None, kind)
        if block.data:
            self._emission.emit(ReasoningData, opened.part, block.data)

    def _start_other(self, index: int, block: structs.OtherBlock, data: bytes) -> None:
        if block.type not in structs.KNOWN_BLOCKS:
            self._emission.count_unknown(block.type, data)
        part = self._start_part(index, PartKind.BLOCK).part
        self._emission.emit(ProviderBlock, part, block.type, data, block.tool_use_id)

    def _start_for(self, index: int, delta: structs.KnownDelta) -> OpenBlock:
        self._make_room(index)
        if isinstance(delta, structs.InputJsonDelta):
            return self._track(index, self._tool_calls.start(structs.ToolUseBlock(), b""))
        if isinstance(delta, structs.TextDelta | structs.CitationsDelta):
            return self.start_text(index, structs.TextBlock())
        return self._start_thinking(index, structs.ThinkingBlock())

    def _make_room(self, index: int) -> None:
        self._emission.message_start(None, None)
        self._close(index)
        self._tool_calls.release()

    def _start_part(
        self,
        index: int,
        kind: PartKind,
        grows_by: type | None = None,
        reasoning_kind: ReasoningKind | None = None,
    ) -> OpenBlock:
        part = self._emission.open_part(kind, reasoning_kind=reasoning_kind)
        return self._track(index, OpenBlock(part, kind, grows_by))

    def _track(self, index: int, block: OpenBlock) -> OpenBlock:
        self.open[index] = block
        self._last_index = index
        self._last_part = block.part
        return block

    def _close(self, index: int | None) -> None:
        block = self.open.pop(index, None)
        if isinstance(block, OpenToolCall):
            is_last = block.part == self._last_part
            self._tool_calls.stop(block, is_last=is_last, stop_reason=self._stop_reason)
        elif block is not None:
            self._emission.close_part(block.part)

    def _open_indexes(self) -> list[int | None]:
        return sorted(self.open, key=lambda index: self.open[index].part)

    def _add_text(self, block: OpenBlock, delta: structs.TextDelta) -> None:
        self._emission.text(block.part, delta.text or "")

    def _add_thinking(self, block: OpenBlock, delta: structs.ThinkingDelta) -> None:
        self._emission.reasoning(block.part, delta.text or "")
        if delta.estimated_tokens is not None:
            estimate = structs.ThinkingDelta(None, delta.estimated_tokens)
            data = msgspec.json.encode(estimate)
            self._emission.pass_on("thinking_delta.estimated_tokens", data)

    def _add_signature(self, block: OpenBlock, delta: structs.SignatureDelta) -> None:
        self._sign(block, delta.signature)

    def _add_citation(self, block: OpenBlock, delta: structs.CitationsDelta) -> None:
        self._emission.emit(Citation, block.part, bytes(delta.citation))

    def _add_arguments(self, block: OpenToolCall, delta: structs.InputJsonDelta) -> None:
        self.grow_call(block, delta.text)

    def _sign(self, block: OpenBlock, signature: str | None) -> None:
        if signature:
            emit = self._emission.emit
            emit(ReasoningSignature, block.part, signature, replace=block.is_signed)
            block.is_signed = True


_GROWERS: Mapping[type, Callable[[ContentBlocks, Any, Any], None]] = {
    structs.TextDelta: ContentBlocks._add_text,
    structs.ThinkingDelta: ContentBlocks._add_thinking,
    structs.SignatureDelta: ContentBlocks._add_signature,
    structs.InputJsonDelta: ContentBlocks._add_arguments,
    structs.CitationsDelta: ContentBlocks._add_citation,
}


def _reasoning_kind(payload: Mapping[str, Any]) -> ReasoningKind:
    """What the request asked to be shown of the thinking; the response does not say."""
    thinking = payload.get("thinking")
    display = thinking.get("display") if isinstance(thinking, Mapping) else None
    return _DISPLAYS.get(str(display), ReasoningKind.NATIVE)
