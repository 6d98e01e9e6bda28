"""The arguments of tool calls while they grow, for user interfaces.

A view is never a call: only `Result.tool_calls` says what may be run. From one snapshot to the
next strings only get longer, lists and objects only gain members, and a number, `true`, `false`
or `null` shows once it is whole. (A key that the model writes twice starts its value again.)
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from tokenline.events import Event, Reset, ToolCallDelta, ToolCallEnd
from tokenline_stages.wire.json_reader import JsonReader, Mark, Token

_NOTHING = object()


class PartialArguments(msgspec.Struct, frozen=True):
    """What there is of a tool call's arguments. Read only: snapshots share what is finished.

    Attributes:
        value: the object so far.
        complete: whether the call has ended whole; until then anything may follow.
        problem: what is wrong with the JSON; the view stops growing there.
    """

    value: dict[str, Any]
    complete: bool = False
    problem: str | None = None


class GrowingArguments:
    """The arguments of one tool call, fed as they stream.

    Feeding is linear in the text. A snapshot copies the containers and the string that are open
    at that moment: take one for each refresh of the screen, not for each fragment.
    """

    __slots__ = ("_complete", "_keys", "_name", "_open", "_reader", "_root", "_string")

    def __init__(self) -> None:
        self._reader = JsonReader()
        self._root: Any = _NOTHING
        # The containers that are open, and for each the key of its newest member.
        self._open: list[dict[str, Any] | list[Any]] = []
        self._keys: list[str | int] = []
        self._name: list[str] | None = None
        self._string: list[str] | None = None
        self._complete = False

    def feed(self, text: str) -> None:
        """Take a fragment of the arguments."""
        for token in self._reader.feed(text):
            self._take(token)

    def end(self, complete: bool) -> None:
        """The call has ended; `complete` is False if it was cut."""
        self._complete = complete

    def snapshot(self) -> PartialArguments:
        """The arguments so far."""
        reader = self._reader
        whole = reader.complete or self._root is _NOTHING
        root = self._copy_open()
        problem = reader.problem
        if root is _NOTHING:
            root = {}
        elif not isinstance(root, dict):
            problem = problem or f"arguments are JSON but no object: {type(root).__name__}"
            root = {}
        complete = self._complete and whole and problem is None
        return PartialArguments(root, complete, problem)

    def _copy_open(self) -> Any:
        if not self._open:
            return self._root
        copies = [container.copy() for container in self._open]
        for index, child in enumerate(copies[1:]):
            _put(copies[index], self._keys[index], child)
        if self._string is not None:
            self._string = ["".join(self._string)]
            _put(copies[-1], self._keys[-1], self._string[0])
        return copies[0]

    def _take(self, token: Token) -> None:
        mark, _, value = token
        if mark is Mark.TEXT:
            pieces = self._string if self._name is None else self._name
            if pieces is not None:
                pieces.append(value)
        elif mark is Mark.KEY_START:
            self._name = []
        elif mark is Mark.STRING_START:
            self._add("")
            self._string = []
        elif mark is Mark.STRING_END:
            self._end_string()
        elif mark is Mark.SCALAR:
            self._add(value)
        else:
            self._nest(mark)

    def _nest(self, mark: Mark) -> None:
        if mark in (Mark.OBJECT_START, Mark.LIST_START):
            container: dict[str, Any] | list[Any] = {} if mark is Mark.OBJECT_START else []
            self._add(container)
            self._open.append(container)
            self._keys.append("")
        elif mark in (Mark.OBJECT_END, Mark.LIST_END):
            self._open.pop()
            self._keys.pop()

    def _end_string(self) -> None:
        if self._name is not None:
            self._keys[-1] = "".join(self._name)
            self._name = None
        elif self._string is not None:
            text, self._string = "".join(self._string), None
            if self._open:
                _put(self._open[-1], self._keys[-1], text)
            else:
                self._root = text

    def _add(self, value: Any) -> None:
        if not self._open:
            self._root = value
            return
        container = self._open[-1]
        if isinstance(container, list):
            self._keys[-1] = len(container)
            container.append(value)
        else:
            container[str(self._keys[-1])] = value


class ArgumentsView:
    """The growing arguments of every tool call of a response, by the call's id.

    Feed it the events of a run, or the fragments of messages by `grow` and `end`.
    """

    def __init__(self) -> None:
        self._calls: dict[str, GrowingArguments] = {}

    def feed(self, events: Iterable[Event]) -> None:
        """Take the events that matter here; others are passed over."""
        for event in events:
            if isinstance(event, ToolCallDelta):
                self.grow(event.tool_call_id, event.arguments)
            elif isinstance(event, ToolCallEnd):
                self.end(event.tool_call_id, event.complete)
            elif isinstance(event, Reset):
                self._calls.clear()

    def grow(self, tool_call_id: str, fragment: str) -> None:
        """Take a fragment of a call's arguments."""
        self._call(tool_call_id).feed(fragment)

    def end(self, tool_call_id: str, complete: bool) -> None:
        """A call has ended."""
        self._call(tool_call_id).end(complete)

    def snapshot(self, tool_call_id: str) -> PartialArguments:
        """The arguments of a call so far; empty for one that was never met."""
        call = self._calls.get(tool_call_id)
        return PartialArguments({}) if call is None else call.snapshot()

    def snapshots(self) -> dict[str, PartialArguments]:
        """The arguments of all calls so far, in the order in which they began to grow."""
        return {tool_call_id: call.snapshot() for tool_call_id, call in self._calls.items()}

    def _call(self, tool_call_id: str) -> GrowingArguments:
        return self._calls.setdefault(tool_call_id, GrowingArguments())


def _put(container: dict[str, Any] | list[Any], key: Any, value: Any) -> None:
    container[key] = value
