"""The open blocks of one answer, by `contentBlockIndex`; opens and closes their parts."""

from typing import Any

import msgspec

from tokenline.errors import LimitExceededError
from tokenline.events import (
    PartKind,
    ReasoningKind,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolKind,
)
from tokenline.options import Limits
from tokenline_stages.emission import Emission

from .converse import ToolUseStart

_any = msgspec.json.Decoder(msgspec.Raw)


class Block:
    """An open block.

    Attributes:
        part: its part.
        kind: what it holds.
        call_id: id of a tool call.
        name: name of a tool.
        fragments: the arguments so far.
        size: their bytes.
    """

    __slots__ = ("call_id", "fragments", "kind", "name", "part", "size")

    def __init__(self, part: int, kind: PartKind, call_id: str = "", name: str = "") -> None:
        self.part = part
        self.kind = kind
        self.call_id = call_id
        self.name = name
        self.fragments: list[str] = []
        self.size = 0

    def is_whole(self) -> bool:
        """Whether the arguments so far are one JSON value."""
        try:
            _any.decode("".join(self.fragments))
        except (ValueError, RecursionError):
            return False
        return True


class Blocks:
    """The blocks of one answer.

    Attributes:
        merges_text: blocks of text that follow one another are one part, and every new block
            ends the text or reasoning before it (InvokeModel).
    """

    __slots__ = ("_emission", "_held", "_limits", "_open", "_prose", "_resting", "merges_text")

    def __init__(self, emission: Emission, limits: Limits) -> None:
        self._emission = emission
        self._limits = limits
        self._open: dict[int, Block] = {}
        self._resting: Block | None = None  # text whose block is over, but maybe not its part
        self._held: Block | None = None  # a call without arguments: complete, or cut
        self._prose = 0  # where the latest block that is no call began
        self.merges_text = False

    def get(self, index: int) -> Block | None:
        """The open block at `index`."""
        return self._open.get(index)

    def open(
        self, index: int, kind: PartKind, reasoning_kind: ReasoningKind | None = None
    ) -> Block:
        """Begin a block that is no tool call; ends the one that was at `index`."""
        resting = self._resting if kind is PartKind.TEXT else None
        if resting is not None:
            self._resting = None
        self._make_room(index)
        if resting is None:
            part = self._emission.open_part(kind, reasoning_kind=reasoning_kind)
            resting = Block(part, kind)
        self._open[index] = resting
        self._prose = index
        return resting

    def start_call(self, index: int, start: ToolUseStart) -> Block:
        """Begin a tool call; one that is open at `index` under the same id goes on."""
        known = self._open.get(index)
        if known is not None and known.call_id and known.call_id == start.tool_use_id:
            return known
        self._make_room(index)
        emission = self._emission
        part = emission.new_part()
        call_id = start.tool_use_id or f"call_{emission.message_id}_{part}"
        block = Block(part, PartKind.TOOL_CALL, call_id, start.name or "")
        self._open[index] = block
        is_server = start.type == "server_tool_use"
        kind = ToolKind.SERVER if is_server else ToolKind.FUNCTION
        emission.emit(ToolCallStart, part, call_id, block.name, kind)
        return block

    def add_arguments(self, index: int, given: str | dict[str, Any] | None) -> None:
        """Append to the arguments of a call; a call that never started begins here.

        Raises:
            LimitExceededError: arguments beyond `max_arguments_bytes`.
        """
        block = self._open.get(index)
        if block is None or block.kind is not PartKind.TOOL_CALL:
            block = self.start_call(index, ToolUseStart())
        if given is None or given == "":
            return
        text = given if isinstance(given, str) else msgspec.json.encode(given).decode()
        block.size += len(text) if text.isascii() else len(text.encode())
        if block.size > self._limits.max_arguments_bytes:
            raise LimitExceededError(
                "arguments of one tool call are too large; raise Limits.max_arguments_bytes",
                limit="max_arguments_bytes",
            )
        block.fragments.append(text)
        self._emission.emit(ToolCallDelta, block.part, block.call_id, block.name, text)

    def stop(self, index: int) -> None:
        """The block at `index` is over."""
        block = self._open.pop(index, None)
        if block is None:
            return
        if block.kind is PartKind.TOOL_CALL and not block.fragments:
            self._end_held(complete=True)
            self._held = block
        elif self.merges_text and block.kind is PartKind.TEXT:
            self._end_resting()
            self._resting = block
        else:
            self._close(block)

    def stop_all(self, *, complete: bool) -> None:
        """The answer is over; `complete` is False if it was cut."""
        self._end_resting()
        self._end_held(complete=complete)
        for block in self._open.values():
            self._close(block, complete=complete)
        self._open.clear()

    def break_off(self) -> None:
        """The stream is cut: end the open calls, which may be whole by chance only."""
        self._end_held(complete=False)
        for block in self._open.values():
            if block.kind is PartKind.TOOL_CALL:
                self._end_call(block, complete=False)

    def _make_room(self, index: int) -> None:
        self._end_resting()
        self._end_held(complete=True)
        if index in self._open:
            self._close(self._open.pop(index))
        prose = self._open.get(self._prose) if self.merges_text else None
        if prose is not None and prose.kind is not PartKind.TOOL_CALL:
            self._close(self._open.pop(self._prose))

    def _close(self, block: Block, *, complete: bool = True) -> None:
        if block.kind is PartKind.TOOL_CALL:
            self._end_call(block, complete=block.is_whole() if block.fragments else complete)
        else:
            self._emission.close_part(block.part)

    def _end_resting(self) -> None:
        if self._resting is not None:
            self._emission.close_part(self._resting.part)
            self._resting = None

    def _end_held(self, *, complete: bool) -> None:
        if self._held is not None:
            self._end_call(self._held, complete=complete)
            self._held = None

    def _end_call(self, block: Block, *, complete: bool) -> None:
        self._emission.emit(ToolCallEnd, block.part, block.call_id, block.name, complete)
