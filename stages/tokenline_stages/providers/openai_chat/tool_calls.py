"""Which tool call a fragment belongs to, and when a call may be announced.

Servers number and name calls as they like: one index for all calls (Ollama, Dynamo), no index,
ids that come late, on every fragment, new on every fragment, twice, or never. So a call learns
its index and id from its fragments, and a fragment goes to the call that they point to. It
starts a new call if

- nothing known has its index or id;
- it has an id of its own and a name, where the call of that index has another id, unless it
  repeats that call's name with arguments that begin no object, and those so far are unfinished;
- it has another name than a call that already has arguments;
- it has a name and an index that is new, the call of its id has another one, and it has no
  arguments or they begin an object (one id for several calls);
- it has a name, and that call's arguments are whole JSON and it begins another object;
- it has a name and comes in one chunk with an earlier fragment for that call.

A call is announced (`ToolCallStart`) once its id and its whole name are known; until then its
fragments are kept. A name is whole when arguments have come, or when the request declares a
tool of that name and none whose name goes on from there. Calls are announced in the order they
began. What is still kept when the choice ends is announced then: without an id, or with one
that another call has already, as `call_<part>`; without a name as `""`, and incomplete.

A name longer than 1024 letters is a `MalformedStreamError`: servers allow 64 to 128.

Calls end with their choice, for until then more may come for any of them.
"""

from collections import deque
from collections.abc import Sequence

from tokenline.errors import LimitExceededError, MalformedStreamError
from tokenline.events import (
    ReasoningSignature,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolKind,
)
from tokenline.options import Limits
from tokenline_stages.emission import Emission

from .arguments_scan import ArgumentsScan
from .chunk import Function, ToolCallFragment
from .lenient import read_signature
from .tool_names import DeclaredNames

_LEGACY_INDEX = -1
_MOST_NAME = 1024


class _Call:
    """One tool call; `held` are its fragments until it is announced and thereby open."""

    __slots__ = (
        "batch",
        "bytes",
        "ended",
        "held",
        "id",
        "index",
        "kind",
        "legacy",
        "name",
        "open",
        "part",
        "scan",
        "signatures",
        "tool_call_id",
    )

    def __init__(self, index: int | None, kind: ToolKind, batch: int) -> None:
        self.index = index
        self.kind = kind
        self.batch = batch
        self.id: str | None = None
        self.name: str | None = None
        self.legacy = False
        self.held: list[str] = []
        self.signatures: list[str] = []
        self.bytes = 0
        self.scan = ArgumentsScan()
        self.part = -1
        self.tool_call_id = ""
        self.open = False
        self.ended = False


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class ToolCalls:
    """The tool calls of one choice."""

    __slots__ = (
        "_batch",
        "_by_id",
        "_by_index",
        "_calls",
        "_choice",
        "_emission",
        "_ids",
        "_last",
        "_limits",
        "_names",
        "_waiting",
    )

    def __init__(
        self, emission: Emission, limits: Limits, names: DeclaredNames, choice: int
    ) -> None:
        self._emission = emission
        self._limits = limits
        self._names = names
        self._choice = choice
        self._batch = 0
        self._calls: list[_Call] = []
        self._waiting: deque[_Call] = deque()
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._ids: set[str] = set()
        self._last: _Call | None = None

    def take(self, fragments: Sequence[ToolCallFragment]) -> None:
        """Take the fragments of one chunk."""
        self._batch += 1
        for fragment in fragments:
            function = fragment.function
            if function is not None and function.arguments and not (fragment.id or function.name):
                index = fragment.index
                call = self._last if index is None else self._by_index.get(index)
                if call is not None and call.open and fragment.extra_content is None:
                    self._add(call, function.arguments)
                    continue
            self._take(fragment)

    def take_function(self, function: Function) -> None:
        """Take a fragment of a `function_call`, which has no index and no id."""
        self._batch += 1
        call = self._by_index.get(_LEGACY_INDEX)
        if call is None or call.ended:
            call = self._new(_LEGACY_INDEX, ToolKind.FUNCTION)
            call.legacy = True
        self._grow(call, None, function.name, function.arguments)

    def end(self, *, clean: bool, broken: bool = False) -> None:
        """End the open calls.

        Args:
            clean: the model stopped of itself. If not, the last call is incomplete.
            broken: the response broke off: no call is complete.
        """
        for call in self._waiting:
            if call.name or call.bytes:
                self._start(call)
            call.ended = True
        self._waiting.clear()
        calls = [call for call in self._calls if call.open]
        self._calls.clear()
        for call in calls:
            call.open = False
            call.ended = True
            complete = not broken and bool(call.name) and (clean or call is not calls[-1])
            if complete and call.kind is not ToolKind.CUSTOM:
                complete = call.scan.readable
            self._emission.emit(
                ToolCallEnd, call.part, call.tool_call_id, call.name or "", complete, self._choice
            )

    def _take(self, fragment: ToolCallFragment) -> None:
        kind = ToolKind.FUNCTION
        name, arguments = fragment.name, fragment.arguments
        if fragment.function is not None:
            name, arguments = fragment.function.name, fragment.function.arguments
        elif fragment.custom is not None:
            kind = ToolKind.CUSTOM
            name, arguments = fragment.custom.name, fragment.custom.input
        signature = read_signature(fragment.extra_content)
        if not (fragment.id or name or arguments or signature):
            return
        call = self._find(fragment.index, fragment.id, name, arguments)
        if call is None:
            call = self._new(fragment.index, kind)
        elif call.ended:
            if not (arguments and arguments.strip()):
                return
            call = self._reopen(call)
        if signature:
            call.signatures.append(signature)
        self._grow(call, fragment.id, name, arguments)

    def _new(self, index: int | None, kind: ToolKind) -> _Call:
        limit = self._limits.max_parts
        if len(self._calls) >= limit:
            raise LimitExceededError(
                f"more than {limit} tool calls in one response; raise Limits.max_parts",
                limit="max_parts",
            )
        call = _Call(index, kind, self._batch)
        self._calls.append(call)
        self._waiting.append(call)
        self._last = call
        return call

    def _reopen(self, call: _Call) -> _Call:
        again = self._new(call.index, call.kind)
        again.id, again.name = call.id, call.name
        return again

    def _find(
        self, index: int | None, id_: str | None, name: str | None, arguments: str | None
    ) -> _Call | None:
        slot = self._last if index is None else self._by_index.get(index)
        if id_ and (slot is None or slot.id != id_):
            known = self._by_id.get(id_)
            if known is not None:
                return None if self._moves(known, index, name, arguments) else known
            if slot is not None and slot.id is not None:
                if name and index is not None and _goes_on(slot, name, arguments):
                    return slot
                return None if name or _is_over(slot, arguments) else slot
        if slot is None or (name and self._is_new(slot, name, arguments)):
            return None
        return None if id_ and slot.id is None and _begins(slot, arguments) else slot

    def _moves(
        self, known: _Call, index: int | None, name: str | None, arguments: str | None
    ) -> bool:
        if not name:
            return False
        if index is not None and index not in self._by_index:
            starts = known.index is not None and (not arguments or _opens(arguments))
            if starts or known.scan.whole:
                return True
        return self._is_new(known, name, arguments)

    def _is_new(self, slot: _Call, name: str, arguments: str | None) -> bool:
        if slot.name is None:
            return False
        if slot.batch == self._batch:
            return True
        if not slot.bytes:
            return name != slot.name and self._names.parts(slot.name, name)
        return name != slot.name or _begins(slot, arguments)

    def _grow(self, call: _Call, id_: str | None, name: str | None, arguments: str | None) -> None:
        call.batch = self._batch
        if call.index is not None:
            self._by_index[call.index] = call
        if id_:
            if call.id is None:
                call.id = id_
            self._by_id[id_] = call
        if name and not (call.bytes and call.name) and not call.open:
            call.name = _join_name(call.name, name)
            if len(call.name) > _MOST_NAME:
                raise MalformedStreamError(
                    f"the name of a tool is longer than {_MOST_NAME} letters"
                )
        if arguments:
            self._add(call, arguments)
        if call.open:
            self._sign(call)
        else:
            self._start_ready()

    def _add(self, call: _Call, arguments: str) -> None:
        call.bytes += _size(arguments)
        limit = self._limits.max_arguments_bytes
        if call.bytes > limit:
            raise LimitExceededError(
                f"arguments of one tool call are longer than {limit} bytes;"
                " raise Limits.max_arguments_bytes",
                limit="max_arguments_bytes",
            )
        call.scan.add(arguments)
        if call.open:
            self._send(call, arguments)
        else:
            call.held.append(arguments)

    def _send(self, call: _Call, arguments: str) -> None:
        emission = self._emission
        seq = emission.seq
        emission.seq = seq + 1
        emission.out.append(
            ToolCallDelta(
                seq,
                emission.recv_ns,
                emission.message_id,
                call.part,
                call.tool_call_id,
                call.name or "",
                arguments,
                self._choice,
            )
        )

    def _start_ready(self) -> None:
        waiting = self._waiting
        while waiting:
            call = waiting[0]
            if not call.name or not (call.id or call.legacy):
                return
            if not call.bytes and not self._names.settles(call.name):
                return
            self._start(waiting.popleft())

    def _start(self, call: _Call) -> None:
        call.part = self._emission.new_part()
        free = call.id is not None and call.id not in self._ids
        call.tool_call_id = call.id if free and call.id else f"call_{call.part}"
        self._ids.add(call.tool_call_id)
        call.open = True
        self._emission.emit(
            ToolCallStart, call.part, call.tool_call_id, call.name or "", call.kind, self._choice
        )
        for arguments in call.held:
            self._send(call, arguments)
        call.held.clear()
        self._sign(call)

    def _sign(self, call: _Call) -> None:
        for signature in call.signatures:
            self._emission.emit(ReasoningSignature, call.part, signature, self._choice)
        call.signatures.clear()


def _begins(slot: _Call, arguments: str | None) -> bool:
    """Whether the arguments so far are whole and these begin another object."""
    return bool(arguments) and _opens(arguments or "") and slot.scan.whole


def _opens(arguments: str) -> bool:
    return arguments.lstrip()[:1] in ("{", "[")


def _goes_on(slot: _Call, name: str, arguments: str | None) -> bool:
    """Whether a fragment that repeats the name brings more of unfinished arguments."""
    if not arguments or not slot.bytes or name != slot.name:
        return False
    return not _opens(arguments) and not slot.scan.whole


def _is_over(slot: _Call, arguments: str | None) -> bool:
    """Whether the arguments so far are whole and these, if any, do not go on with them."""
    return _begins(slot, arguments) if arguments else slot.scan.whole


def _join_name(old: str | None, new: str) -> str:
    # A server that repeats what it has said so far is not adding to it.
    return new if old is None or new.startswith(old) else old + new
