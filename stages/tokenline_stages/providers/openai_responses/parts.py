"""Parts and tool calls while they are streamed: each knows what it has emitted so far.

Three events tell the same text: its deltas, its `done` event, and the finished item. Whatever of
it arrives first is emitted, and of the later ones only what was still missing.
"""

from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from tokenline.errors import LimitExceededError
from tokenline.events import (
    Logprobs,
    PartKind,
    ReasoningDelta,
    ReasoningKind,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolKind,
)
from tokenline_stages.emission import Emission


class Slot(NamedTuple):
    """A kind of part inside an item.

    Attributes:
        kind: what such a part holds.
        delta: the event it grows by.
        reasoning_kind: where its reasoning comes from.
    """

    kind: PartKind
    delta: type[TextDelta | RefusalDelta | ReasoningDelta]
    reasoning_kind: ReasoningKind | None = None


TEXT = Slot(PartKind.TEXT, TextDelta)
REFUSAL = Slot(PartKind.REFUSAL, RefusalDelta)
NATIVE = Slot(PartKind.REASONING, ReasoningDelta, ReasoningKind.NATIVE)
SUMMARY = Slot(PartKind.REASONING, ReasoningDelta, ReasoningKind.SUMMARY)


def split_half(text: str) -> tuple[str, str]:
    """Text that ends with whole characters, and the half of one that is left."""
    if text and "\ud800" <= text[-1] <= "\udbff":
        return text[:-1], text[-1]
    return text, ""


def join_halves(text: str) -> str:
    """Text whose halves of characters are joined; U+FFFD stands for stray ones."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Fragments:
    """Text that arrives in fragments.

    Attributes:
        fragments: what was taken so far; emptied when the text is final.
        final: whether the whole text is known and emitted.
        announced: text that the beginning of the part or item already held.
        half: the first half of a character whose second half is still to come.
    """

    __slots__ = ("announced", "final", "fragments", "half")

    def __init__(self) -> None:
        self.fragments: list[str] = []
        self.final = False
        self.announced = ""
        self.half = ""

    def take(self, delta: str, is_split: bool) -> str:
        """What a delta adds; some servers announce a beginning and do not repeat it."""
        text = self.half + delta
        self.half = ""
        if is_split:
            text, self.half = split_half(text)
        if is_split or text != delta:
            text = join_halves(text)
        if self.announced:
            if not text.startswith(self.announced):
                text = self.announced + text
            self.announced = ""
        self.fragments.append(text)
        return text

    def settle(self, whole: str | None, is_sent: bool = True) -> tuple[str, bool]:
        """What is missing of the final text, and whether it agrees with the fragments.

        Args:
            whole: the final text, if the provider has told it.
            is_sent: whether the fragments were emitted.
        """
        streamed = "".join(self.fragments)
        if not whole:
            whole = (streamed or self.announced) + ("\N{REPLACEMENT CHARACTER}" * bool(self.half))
        self.fragments = []
        self.final = True
        self.announced = self.half = ""
        if not is_sent:
            return whole, True
        if whole.startswith(streamed):
            return whole[len(streamed) :], True
        return "", False


class OpenPart(Fragments):
    """A text, refusal or reasoning part.

    Attributes:
        slot: its kind.
        number: its part number; None until it is opened.
        held: whether its text waits for the whole of it: its beginning was missed.
        closed: whether `PartEnd` was emitted.
        citations: how many were emitted.
        has_logprobs: whether log probabilities were emitted.
    """

    __slots__ = (
        "_emission",
        "_provider_id",
        "citations",
        "closed",
        "has_logprobs",
        "held",
        "number",
        "slot",
    )

    def __init__(
        self, emission: Emission, slot: Slot, provider_id: str | None, held: bool = False
    ) -> None:
        super().__init__()
        self._emission = emission
        self._provider_id = provider_id
        self.slot = slot
        self.number: int | None = None
        self.held = held
        self.closed = False
        self.citations = 0
        self.has_logprobs = False

    def open(self) -> int:
        """The part's number; opens the part if that is still to do."""
        if self.number is None:
            self.number = self._emission.open_part(
                self.slot.kind, 0, self.slot.reasoning_kind, self._provider_id
            )
        return self.number

    def append(self, delta: str, is_split: bool = False) -> None:
        """Emit a delta; after the end of the part it is counted as unknown."""
        if self.final:
            self._emission.unknown += 1
            return
        text = self.take(delta, is_split)
        if not self.held:
            self._emit(text)

    def tell(self, whole: str | None) -> None:
        """The provider tells the whole text, while the item goes on."""
        if not self.held:
            self.complete(whole)
        elif whole:
            self.fragments = [whole]

    def complete(self, whole: str | None = None) -> None:
        """The text is over: emit what is missing of it."""
        if self.final:
            return
        missing, _ = self.settle(whole, is_sent=not self.held)
        self.open()
        self._emit(missing)

    def close(self) -> None:
        """End the part."""
        if not self.closed:
            self.complete()
            self.closed = True
            self._emission.close_part(self.open())

    def log_probabilities(self, items: tuple[Raw, ...]) -> None:
        """Emit the log probabilities of tokens."""
        self.has_logprobs = True
        self._emission.emit(Logprobs, b"[" + b",".join(map(bytes, items)) + b"]")

    def _emit(self, text: str) -> None:
        if text:
            self._emission.emit(self.slot.delta, self.open(), text)


class OpenCall(Fragments):
    """A tool call.

    Its arguments are held back until its name is known: a call cannot begin without.

    Attributes:
        kind: who runs it.
        tool_call_id: id of the call.
        name: name of the tool.
        number: its part number; None until it begins.
        provider_id: id of its item, if known.
        ended: whether `ToolCallEnd` was emitted.
        agrees: whether the final arguments are what the fragments said.
    """

    __slots__ = (
        "_emission",
        "_limit_bytes",
        "_size_bytes",
        "agrees",
        "ended",
        "kind",
        "name",
        "number",
        "provider_id",
        "tool_call_id",
    )

    def __init__(
        self, emission: Emission, kind: ToolKind, provider_id: str | None, limit_bytes: int
    ) -> None:
        super().__init__()
        self._emission = emission
        self.provider_id = provider_id
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self.kind = kind
        self.tool_call_id = ""
        self.name = ""
        self.number: int | None = None
        self.ended = False
        self.agrees = True

    def start(self, tool_call_id: str, name: str, is_whole: bool = False) -> None:
        """Begin the call, with the arguments that came before its name.

        With `is_whole` they are dropped, for the whole arguments follow.
        """
        if self.number is not None:
            return
        if is_whole:
            self.fragments = []
        self.tool_call_id = tool_call_id
        self.name = name
        self.number = self._emission.new_part()
        self._emission.emit(
            ToolCallStart, self.number, tool_call_id, name, self.kind, 0, self.provider_id
        )
        self._emit("".join(self.fragments))

    def append(self, delta: str, is_split: bool = False) -> None:
        """Emit a fragment; after the end of the arguments it is counted as unknown."""
        if self.final:
            self._emission.unknown += 1
            return
        self._grow(delta)
        text = self.take(delta, is_split)
        if self.number is not None:
            self._emit(text)

    def keep(self, text: str) -> None:
        """Take note of a fragment that the caller emits."""
        self._grow(text)
        self.fragments.append(text)

    def complete(self, whole: str | None = None) -> None:
        """The arguments are over: emit what is missing of them."""
        if self.final:
            return
        streamed = "".join(self.fragments)
        missing, agrees = self.settle(whole)
        self.agrees = agrees or _is_same_json(streamed, whole)
        self._grow(missing)
        self._emit(missing)

    def end(self, complete: bool) -> None:
        """End the call; one whose fragments contradict its final arguments is not complete."""
        if not self.ended:
            self.complete()
            self.ended = True
            self._emission.emit(
                ToolCallEnd, self.number, self.tool_call_id, self.name, complete and self.agrees
            )

    def _emit(self, text: str) -> None:
        if text:
            self._emission.emit(ToolCallDelta, self.number, self.tool_call_id, self.name, text)

    def _grow(self, text: str) -> None:
        self._size_bytes += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        if self._size_bytes > self._limit_bytes:
            raise LimitExceededError(
                f"more than {self._limit_bytes} bytes of arguments in one tool call;"
                " raise Limits.max_arguments_bytes",
                limit="max_arguments_bytes",
            )


def _is_same_json(streamed: str, whole: str | None) -> bool:
    try:
        return bool(_read(streamed) == _read(whole or ""))
    except (msgspec.DecodeError, RecursionError):
        return False


def _read(text: str) -> Any:
    return msgspec.json.decode(text)


def arguments_text(arguments: str | dict[str, Any] | None) -> str | None:
    """Arguments as text; early servers send those of MCP calls as an object."""
    if arguments is None or isinstance(arguments, str):
        return arguments
    return msgspec.json.encode(arguments).decode()
