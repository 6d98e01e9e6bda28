"""Output items while they are streamed.

An item is *announced* by `response.output_item.added`, grows, and is *completed* by
`response.output_item.done` or by the final response, whichever comes first. Parts of one item
carry its id as their `provider_id`:

- message: one part for each content part;
- reasoning: one `SUMMARY` part for each part of the summary and one `NATIVE` part for each text,
  in order; the last of them carries `encrypted_content` as `ReasoningData`. Without text it is
  one `ENCRYPTED` part, without anything one `OMITTED` part. So the item can be rebuilt exactly.
  A part boundary is what separates two summary parts; show them with a blank line between.
- function, custom, MCP and code interpreter calls: tool calls; for the last two, and for custom
  calls of tools that the request does not declare, which the provider runs, the finished item
  with its output follows as `ProviderBlock` of the same part;
- everything else: one block.

An item with fields that no event has a place for (`phase` of a message, `namespace` of a call)
also gives its JSON: a call as `ProviderBlock` of its part, others in a block of their own before
their text.
"""

from abc import ABC, abstractmethod

from msgspec import Raw

from tokenline.events import (
    Citation,
    PartKind,
    ProviderBlock,
    ProviderDelta,
    ReasoningData,
    ReasoningKind,
    ToolKind,
)
from tokenline_stages.emission import Emission

from .output_items import (
    CallItem,
    MessageItem,
    OtherItem,
    OutputItem,
    ReasoningItem,
    decode_part,
    extra_fields,
)
from .parts import NATIVE, REFUSAL, SUMMARY, TEXT, OpenCall, OpenPart, Slot, arguments_text
from .vocabulary import DeclaredTools

TOOL_KINDS = {
    "function_call": ToolKind.FUNCTION,
    "custom_tool_call": ToolKind.CUSTOM,
    "mcp_call": ToolKind.SERVER,
    "code_interpreter_call": ToolKind.SERVER,
}
"""Item types that become tool calls."""

TEXT_ITEMS = frozenset({"message", "reasoning"})
"""Item types that become text, refusal and reasoning parts."""

_SLOTS = {"output_text": TEXT, "refusal": REFUSAL, "reasoning_text": NATIVE, "text": TEXT}
_CUT = ("incomplete", "in_progress")


class Item(ABC):
    """An output item while it is streamed.

    Attributes:
        type: its type on the wire.
        id: its id, if known.
        is_announced: whether the provider has said that it begins.
        is_done: whether it is complete.
    """

    def __init__(self, emission: Emission, type_: str, id_: str | None) -> None:
        self._emission = emission
        self._shown: dict[str, bytes] = {}
        self.type = type_
        self.id = id_
        self.is_announced = False
        self.is_done = False

    @abstractmethod
    def announce(self, item: OutputItem, data: Raw) -> None:
        """The provider said that the item begins."""

    @abstractmethod
    def complete(self, item: OutputItem, data: Raw) -> None:
        """The item is over: emit what is missing of it."""

    @abstractmethod
    def close(self, is_cut: bool) -> None:
        """No more will come; `is_cut` if the response did not end well."""

    def _unshown(self, data: Raw) -> bool:
        """Whether the item has fields without a place that were not emitted yet."""
        extras = extra_fields(data)
        if not extras or extras == self._shown:
            return False
        self._shown = extras
        return True

    def _block(self, data: Raw, tool_call_id: str | None = None) -> None:
        emission = self._emission
        part = emission.open_part(PartKind.BLOCK, provider_id=self.id)
        emission.emit(ProviderBlock, part, self.type, bytes(data), tool_call_id)
        emission.close_part(part)


class TextItem(Item):
    """A message or a reasoning item; its parts are found by kind and index."""

    def __init__(self, emission: Emission, type_: str, id_: str | None, is_late: bool) -> None:
        """Begin an item.

        Args:
            emission: where its events go.
            type_: its type on the wire.
            id_: its id, if known.
            is_late: its beginning was missed unless it is announced.
        """
        super().__init__(emission, type_, id_)
        self._parts: dict[tuple[Slot, int], OpenPart] = {}
        self._last: OpenPart | None = None
        self._blocks: set[int] = set()
        self._is_late = is_late

    @property
    def has_refusal(self) -> bool:
        """Whether the item holds a refusal."""
        return any(slot is REFUSAL for slot, _ in self._parts)

    @property
    def _is_held(self) -> bool:
        """Whether its parts wait for the finished item, because their beginning was missed."""
        return self._is_late and not self.is_announced

    def announce(self, item: OutputItem, data: Raw) -> None:
        """Show fields like `phase` before the text."""
        self.is_announced = True
        self.id = item.id or self.id
        if self._unshown(data):
            self._block(data)
        for slot, index, raw in _contents(item):
            self._announce_text(slot, index, raw)

    def part(self, slot: Slot, index: int) -> OpenPart:
        """The part at a place; a new part ends the one before it if its text is known."""
        part = self._parts.get((slot, index))
        if part is None:
            if self._last is not None and self._last.final:
                self._last.close()
            part = OpenPart(self._emission, slot, self.id, self._is_held)
            part.final = part.closed = self.is_done
            self._parts[slot, index] = self._last = part
        return part

    def begin_part(self, summary: bool, index: int, data: Raw) -> None:
        """A part begins."""
        slot = SUMMARY if summary else _SLOTS.get(decode_part(data).type)
        if slot is not None:
            self._announce_text(slot, index, data)
            part = self.part(slot, index)
            if not (part.held or part.closed):
                part.open()

    def end_part(self, summary: bool, index: int, data: Raw) -> None:
        """A part is over; it stays open for what else may come of it."""
        slot = SUMMARY if summary else _SLOTS.get(decode_part(data).type)
        if self._is_held or self.is_done:
            return
        if slot is not None:
            self._fill(slot, index, data)
        elif index not in self._blocks:
            self._blocks.add(index)
            self._block(data)

    def cite(self, index: int, annotation: Raw) -> None:
        """Emit an annotation of a text part; after its end it is counted as unknown."""
        part = self.part(TEXT, index)
        if part.closed:
            self._emission.unknown += 1
            return
        part.citations += 1
        self._emission.emit(Citation, part.open(), bytes(annotation))

    def complete(self, item: OutputItem, data: Raw) -> None:
        """Emit what is missing, and end all parts."""
        if self.is_done:
            return
        self.id = item.id or self.id
        contents = _contents(item)
        self._drop_held(contents)
        self.is_announced = True
        for slot, index, raw in contents:
            if slot is not None:
                self._fill(slot, index, raw)
            elif index not in self._blocks:
                self._blocks.add(index)
                self._block(raw)
        if isinstance(item, ReasoningItem):
            self._seal(item.encrypted_content)
        self.is_done = True
        self._close_parts()
        if self._unshown(data):
            self._block(data)

    def close(self, is_cut: bool) -> None:
        """End all parts with what there is of them."""
        self.is_done = True
        self._close_parts()

    def _announce_text(self, slot: Slot | None, index: int, data: Raw) -> None:
        part = decode_part(data)
        text = part.refusal if slot is REFUSAL else part.text
        if slot is not None and text:
            open_part = self.part(slot, index)
            if not open_part.fragments:
                open_part.announced = text

    def _fill(self, slot: Slot, index: int, data: Raw) -> None:
        whole = decode_part(data)
        part = self.part(slot, index)
        part.complete(whole.refusal if slot is REFUSAL else whole.text)
        if whole.logprobs and not part.has_logprobs:
            part.log_probabilities(whole.logprobs)
        for annotation in (whole.annotations or ())[part.citations :]:
            self.cite(index, annotation)

    def _drop_held(self, contents: list[tuple[Slot | None, int, Raw]]) -> None:
        """Forget parts that waited for what is known now."""
        for slot, index, _ in contents:
            part = self._parts.get((slot, index)) if slot is not None else None
            if slot is not None and part is not None and part.held and part.number is None:
                del self._parts[slot, index]
                self._last = None

    def _seal(self, encrypted: str | None) -> None:
        """Emit the opaque copy of the reasoning on its last part."""
        emission = self._emission
        if self._last is not None:
            if encrypted:
                self._last.complete()
                emission.emit(ReasoningData, self._last.open(), encrypted)
            return
        kind = ReasoningKind.ENCRYPTED if encrypted else ReasoningKind.OMITTED
        number = emission.open_part(PartKind.REASONING, 0, kind, self.id)
        if encrypted:
            emission.emit(ReasoningData, number, encrypted)
        emission.close_part(number)

    def _close_parts(self) -> None:
        for part in self._parts.values():
            part.close()


class ToolItem(Item):
    """A tool call.

    Attributes:
        call: the call.
        is_waiting: whether its end waits for the next event to tell that it was not cut.
    """

    def __init__(
        self,
        emission: Emission,
        type_: str,
        id_: str | None,
        place: int,
        limit_bytes: int,
        tools: DeclaredTools,
    ) -> None:
        super().__init__(emission, type_, id_)
        self._place = place
        self._tools = tools
        self._has_whole = False
        self.call = OpenCall(emission, TOOL_KINDS[type_], id_, limit_bytes)
        self.is_waiting = False

    def announce(self, item: OutputItem, data: Raw) -> None:
        """Begin the call if its name is known."""
        self.is_announced = True
        self.id = item.id or self.id
        if isinstance(item, CallItem):
            if item.name or self.type == "code_interpreter_call":
                self.name(item.call_id, item.name)
            if not self.call.fragments:
                self.call.announced = arguments_text(item.arguments) or ""

    def name(self, call_id: str | None, name: str | None, is_whole: bool = False) -> None:
        """Begin the call unless it has begun."""
        if TOOL_KINDS[self.type] is ToolKind.SERVER:
            call_id = self.id or call_id
        elif self.type == "custom_tool_call" and name and self._tools.runs_itself(name):
            self.call.kind = ToolKind.SERVER
        if self.type == "code_interpreter_call":
            name = name or "code_interpreter"
        self.call.provider_id = self.id
        self.call.start(call_id or self.id or f"call_{self._place}", name or "", is_whole)

    def take_whole(self, text: str | None, call_id: str | None, name: str | None) -> None:
        """The arguments are over; if the name is not known, the finished item will tell both."""
        if name:
            self.name(call_id, name, is_whole=bool(text))
        self._has_whole = True
        if self.call.number is not None:
            self.call.complete(text)
        elif text:
            self.call.fragments = [text]

    def complete(self, item: OutputItem, data: Raw) -> None:
        """Emit what is missing, and end the call unless it may have been cut."""
        if self.is_done:
            return
        self.is_done = True
        self.id = item.id or self.id
        if isinstance(item, CallItem):
            whole = arguments_text(item.arguments)
            self.name(item.call_id, item.name, is_whole=bool(whole))
            self.call.complete(whole)
        else:
            self.name(None, None)
            self.call.agrees = False
        if self.call.kind is ToolKind.SERVER or self._unshown(data):
            self._emission.emit(ProviderBlock, self.call.number, self.type, bytes(data))
        self._end(item.status)

    def _end(self, status: str | None) -> None:
        if status is None:
            self.is_waiting = True
        elif self.call.kind is ToolKind.SERVER:
            self.call.end(status not in _CUT)
        else:
            self.call.end(status == "completed")

    def close(self, is_cut: bool) -> None:
        """End the call; without a finished item it is complete only if nothing was cut."""
        is_whole = self.is_waiting or self._has_whole
        self.is_done = True
        self.is_waiting = False
        self.name(None, None)
        self.call.end(is_whole and not is_cut)


class BlockItem(Item):
    """Any other item: one block, its JSON as sent.

    Attributes:
        call_id: id of the call that the item is, or is the output of.
        is_call: whether it is a call that the provider does not run itself.
    """

    def __init__(self, emission: Emission, type_: str, id_: str | None) -> None:
        super().__init__(emission, type_, id_)
        self._part: int | None = None
        self._data = Raw()
        self.call_id: str | None = None
        self.is_call = False

    def announce(self, item: OutputItem, data: Raw) -> None:
        """Open the block."""
        self.is_announced = True
        self.id = item.id or self.id
        self._data = data
        self._open()

    def append(self, type_: str, data: bytes) -> None:
        """Emit an increment; after the end of the block it is counted as unknown."""
        if self.is_done:
            self._emission.unknown += 1
            return
        self._emission.emit(ProviderDelta, self._open(), type_, data)

    def complete(self, item: OutputItem, data: Raw) -> None:
        """Emit the block and end it."""
        if self.is_done:
            return
        self._data = data
        if isinstance(item, OtherItem):
            self.call_id = item.call_id
            self.is_call = item.type.endswith("_call") and item.execution != "server"
        self.close(is_cut=False)

    def close(self, is_cut: bool) -> None:
        """End the block; of one that was cut, what was announced is all there is."""
        self.is_done = True
        part = self._open()
        if self._data:
            self._emission.emit(ProviderBlock, part, self.type, bytes(self._data), self.call_id)
        self._emission.close_part(part)

    def _open(self) -> int:
        if self._part is None:
            self._part = self._emission.open_part(PartKind.BLOCK, provider_id=self.id)
        return self._part


def _contents(item: OutputItem) -> list[tuple[Slot | None, int, Raw]]:
    """The content parts of an item with their kind and index."""
    found: list[tuple[Slot | None, int, Raw]] = []
    if isinstance(item, ReasoningItem):
        found += [(SUMMARY, index, data) for index, data in enumerate(item.summary or ())]
    if isinstance(item, MessageItem | ReasoningItem):
        for index, data in enumerate(item.content or ()):
            found.append((_SLOTS.get(decode_part(data).type), index, data))
    return found
