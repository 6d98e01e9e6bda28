"""Writes the events of a response by hand, and cuts them anew."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from hypothesis import HealthCheck, settings
from msgspec.structs import replace

from tokenline.events import (
    Event,
    Finish,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    PartStart,
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
    Usage,
    UsageUpdate,
)
from tokenline.result import Result
from tokenline.stage import StepContext
from tokenline_stages.accumulator import Accumulator
from tokenline_stages.message_view import Message, MessageView, MessageViewOptions

examples = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: as many examples as a busy machine has time for."""

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
MESSAGE_ID = f"message-{UUID}"
TAGS: dict[str, Any] = {"run_id": "run-1", "step_id": "step-1"}


def noon() -> datetime:
    return datetime(2026, 1, 1, 12, 0, 7, 123456, tzinfo=UTC)


class Script:
    """Events in order; parts are numbered as they begin."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._parts = 0
        self.add(MessageStart, "provider-1", "model-1")

    def add(self, kind: Any, *args: Any, **fields: Any) -> Self:
        self.events.append(kind(len(self.events), 0, MESSAGE_ID, *args, **fields))
        return self

    def part(self) -> int:
        self._parts += 1
        return self._parts - 1

    def text(self, *pieces: str) -> Self:
        part = self.part()
        self.add(PartStart, part, PartKind.TEXT)
        for piece in pieces:
            self.add(TextDelta, part, piece)
        return self.add(PartEnd, part)

    def refusal(self, *pieces: str) -> Self:
        part = self.part()
        self.add(PartStart, part, PartKind.REFUSAL)
        for piece in pieces:
            self.add(RefusalDelta, part, piece)
        return self.add(PartEnd, part)

    def reasoning(
        self,
        *pieces: str,
        signature: Sequence[str] = (),
        data: Sequence[str] = (),
        kind: ReasoningKind = ReasoningKind.NATIVE,
    ) -> Self:
        part = self.part()
        self.add(PartStart, part, PartKind.REASONING, 0, kind)
        for piece in pieces:
            self.add(ReasoningDelta, part, piece)
        for piece in signature:
            self.add(ReasoningSignature, part, piece)
        for piece in data:
            self.add(ReasoningData, part, piece)
        return self.add(PartEnd, part)

    def call(
        self,
        name: str,
        *pieces: str,
        complete: bool | None = True,
        kind: ToolKind = ToolKind.FUNCTION,
    ) -> Self:
        """A tool call; `complete=None` leaves it open."""
        part = self.part()
        call = (part, f"call_{part}", name)
        self.add(ToolCallStart, *call, kind)
        for piece in pieces:
            self.add(ToolCallDelta, *call, piece)
        return self if complete is None else self.add(ToolCallEnd, *call, complete)

    def usage(self, **counts: Any) -> Self:
        return self.add(UsageUpdate, Usage(**counts))

    def end(self, reason: FinishReason = FinishReason.STOP, raw: str = "stop") -> Self:
        self.add(Finish, reason, raw)
        return self.add(MessageEnd, reason, raw)


def show(
    events: Iterable[Event], options: MessageViewOptions | None = None
) -> tuple[list[Message], MessageView]:
    """The messages of events that come one by one, and the view itself."""
    view = MessageView(StepContext(MESSAGE_ID, tags=TAGS), options, now=noon)
    out: list[Message] = []
    for event in events:
        view.feed([event], 0, out)
    view.finish(0, out)
    return out, view


def fold(events: Iterable[Event]) -> Result:
    accumulator = Accumulator(MESSAGE_ID)
    accumulator.feed(list(events), 0, [])
    return accumulator.snapshot()


def recut(events: Iterable[Event], sizes: Sequence[int]) -> Iterator[Event]:
    """The same response in fragments of other sizes."""
    texts: dict[type, str] = {TextDelta: "text", ReasoningDelta: "text", ToolCallDelta: "arguments"}
    joined: list[Any] = []
    for event in events:
        field = texts.get(type(event))
        last = joined[-1] if joined else None
        if field and type(last) is type(event) and last.part == event.part:  # type: ignore[union-attr]
            joined[-1] = replace(last, **{field: getattr(last, field) + getattr(event, field)})
        else:
            joined.append(event)
    for event in joined:
        field = texts.get(type(event))
        if field is None:
            yield event
            continue
        for piece in cut(getattr(event, field), sizes):
            yield replace(event, **{field: piece})


def cut(text: str, sizes: Sequence[int]) -> Iterator[str]:
    """`text` in pieces of these sizes, again and again."""
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(text):
            return
        yield text[at : at + size]
        at += size


def bare(messages: Iterable[Message]) -> list[Message]:
    """Messages as if all had the same place, to compare pieces with whole ones."""
    return [replace(message, seq_id=0) for message in messages]
