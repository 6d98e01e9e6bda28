"""The items of a response: which one an event belongs to, and what the final response adds.

`output_index` decides, then `item_id`: some servers send only one of the two, some send ids that
change from event to event, some send the same index for everything.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import TypeVar

from msgspec import Raw

from tokenline.errors import LimitExceededError
from tokenline.events import ToolKind
from tokenline.stage import StepContext
from tokenline_stages.emission import Emission

from . import structs
from .items import TEXT_ITEMS, TOOL_KINDS, BlockItem, Item, TextItem, ToolItem
from .output_items import OutputItem, decode_item, type_of
from .vocabulary import KNOWN_ITEMS, DeclaredTools

_I = TypeVar("_I", bound=Item)


def _class_of(type_: str) -> type[Item]:
    if type_ in TOOL_KINDS:
        return ToolItem
    return TextItem if type_ in TEXT_ITEMS else BlockItem


class ItemTable:
    """The items of one response.

    Attributes:
        is_late: the stream began in the middle: the beginning of items that were not announced
            was missed.
    """

    def __init__(self, emission: Emission, context: StepContext) -> None:
        self._emission = emission
        self._limits = context.limits
        self._strict = context.strict
        self._tools = DeclaredTools(context.payload)
        self._items: list[Item] = []
        self._newest: dict[str, list[Item]] = defaultdict(list)  # by type; the done ones drop out
        self._by_index: dict[int, Item] = {}
        self._by_id: dict[str, Item] = {}
        self._waiting: ToolItem | None = None
        self.is_late = False

    @property
    def is_empty(self) -> bool:
        """Whether there is no item at all."""
        return not self._items

    @property
    def has_calls(self) -> bool:
        """Whether the caller has to run something before the model goes on."""
        pending: set[str] = set()
        for item in self._items:
            if isinstance(item, ToolItem) and item.call.kind is not ToolKind.SERVER:
                return True
            if isinstance(item, BlockItem) and item.call_id:
                pending.add(item.call_id) if item.is_call else pending.discard(item.call_id)
        return bool(pending)

    @property
    def has_refusal(self) -> bool:
        """Whether the model refused."""
        return any(isinstance(item, TextItem) and item.has_refusal for item in self._items)

    def begin(self, event: structs.ItemAdded) -> None:
        """An item begins."""
        item = decode_item(event.item)
        type_ = type_of(item)
        self._release()
        state = self._find(_class_of(type_), type_, event.output_index, item.id)
        is_repeated = item.id == state.id if state and item.id else event.output_index is not None
        if state and is_repeated and (state.is_announced or state.is_done):
            return
        if state is None or state.is_announced or state.type != type_:
            state = self._new(type_, event.output_index, item.id)
        state.announce(item, event.item)
        self._learn_id(state)

    def finish(self, event: structs.ItemDone) -> None:
        """An item is over."""
        item = decode_item(event.item)
        type_ = type_of(item)
        state = self._find(_class_of(type_), type_, event.output_index, item.id)
        if state is None or state.type != type_:
            state = self._new(type_, event.output_index, item.id)
        self._complete(state, item, event.item)

    def reconcile(self, output: Sequence[Raw]) -> None:
        """Emit what the final response holds and the stream did not."""
        items = [decode_item(data) for data in output]
        for state, item, data in zip(self._match(items), items, output, strict=True):
            if state is None:
                state = self._new(type_of(item), None, item.id)
            if not state.is_done:
                self._complete(state, item, data)

    def close(self, is_cut: bool, is_last_cut: bool) -> None:
        """End all items that are still open.

        Args:
            is_cut: whether items without an end are cut.
            is_last_cut: whether the item that ended last, without a status, may be cut too.
        """
        self._release(is_last_cut)
        for item in self._items:
            if not item.is_done:
                item.close(is_cut)

    def text_item(self, type_: str, event: structs.Routed) -> TextItem:
        """The message or reasoning item of an event."""
        return self._find_or_add(TextItem, type_, event)

    def tool_item(self, type_: str, event: structs.Routed) -> ToolItem:
        """The tool call of an event."""
        return self._find_or_add(ToolItem, type_, event)

    def block_item(self, type_: str, event: structs.BlockDelta) -> BlockItem:
        """The block of an event."""
        return self._find_or_add(BlockItem, type_, event)

    def _find_or_add(
        self, wanted: type[_I], type_: str, event: structs.Routed | structs.BlockDelta
    ) -> _I:
        state = self._find(wanted, type_, event.output_index, event.item_id)
        if state is None:
            new = self._new(type_, event.output_index, event.item_id)
            assert isinstance(new, wanted)
            return new
        return state

    def _find(
        self, wanted: type[_I], type_: str, output_index: int | None, item_id: str | None
    ) -> _I | None:
        """The item that an event names; without index and id, the newest open one is meant."""
        if output_index is not None:
            item = self._by_index.get(output_index)
            if isinstance(item, wanted) and not self._is_other(item, type_, item_id):
                return item
        if item_id:
            item = self._by_id.get(item_id)
            return item if isinstance(item, wanted) else None
        if output_index is None:
            return self._newest_open(wanted, type_)
        return None

    def _newest_open(self, wanted: type[_I], type_: str) -> _I | None:
        items = self._newest[type_]
        while items and items[-1].is_done:
            items.pop()
        item = items[-1] if items else None
        return item if isinstance(item, wanted) else None

    def _is_other(self, item: Item, type_: str, item_id: str | None) -> bool:
        if not item_id or not item.id or item.id == item_id:
            return False
        return item_id in self._by_id or item.type != type_ or item.is_done

    def _new(self, type_: str, output_index: int | None, id_: str | None) -> Item:
        emission, limits = self._emission, self._limits
        if len(self._items) >= limits.max_parts:
            raise LimitExceededError(
                f"more than {limits.max_parts} output items in one response;"
                " raise Limits.max_parts",
                limit="max_parts",
            )
        item: Item
        if type_ in TOOL_KINDS:
            place = len(self._items) if output_index is None else output_index
            item = ToolItem(emission, type_, id_, place, limits.max_arguments_bytes, self._tools)
        elif type_ in TEXT_ITEMS:
            item = TextItem(emission, type_, id_, self.is_late)
        else:
            item = BlockItem(emission, type_, id_)
            self._count_unknown(type_)
        self._items.append(item)
        self._newest[type_].append(item)
        if output_index is not None:
            self._by_index[output_index] = item
        self._learn_id(item)
        return item

    def _count_unknown(self, type_: str) -> None:
        """Count an item of an unknown type, which is a block all the same; raises if strict."""
        if type_ not in KNOWN_ITEMS:
            if self._strict:
                self._emission.skip(type_, b"")
            self._emission.unknown += 1

    def _learn_id(self, item: Item) -> None:
        if item.id:
            self._by_id[item.id] = item

    def _complete(self, state: Item, item: OutputItem, data: Raw) -> None:
        if state is not self._waiting:
            self._release()
        state.complete(item, data)
        self._learn_id(state)
        if isinstance(state, ToolItem) and state.is_waiting:
            self._waiting = state

    def _release(self, is_cut: bool = False) -> None:
        """End the call that was finished without a status: what follows shows it was not cut."""
        if self._waiting is not None:
            self._waiting.close(is_cut)
            self._waiting = None

    def _match(self, output: Sequence[OutputItem]) -> list[Item | None]:
        """For each item of the final response, the streamed item that it repeats.

        Ids decide; where a server gives new ids, items of one type follow in order.
        """
        matches: list[Item | None] = []
        for final in output:
            item = self._by_id.get(final.id or "")
            matches.append(item if item is not None and item.type == type_of(final) else None)
        taken = set(map(id, matches))
        free: dict[str, deque[Item]] = defaultdict(deque)
        for item in self._items:
            if id(item) not in taken:
                free[item.type].append(item)
        for position, final in enumerate(output):
            same = free[type_of(final)]
            if matches[position] is None and same:
                matches[position] = same.popleft()
        return matches
