"""Plays a body through parser, normalizer and accumulator, without network, clock or tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from tokenline.events import Event
from tokenline.result import Result
from tokenline.stage import RawChunk, Step, StepContext
from tokenline_stages.accumulator import Accumulator
from tokenline_stages.providers.registry import Api

MESSAGE_ID = "conformance"
"""Our id of every response that is played, so that events can be compared."""

_Step = Step[Any, Any]
_CHUNKS = [RawChunk(bytes((value,))) for value in range(256)]


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a response gave.

    Attributes:
        events: its events, receive times set to 0.
        error: what it ended with; None if it ended well.
        result: what the events add up to.
        unknown_events: how many things nobody knew; None if they were not counted.
    """

    events: list[Event]
    error: BaseException | None
    result: Result
    unknown_events: int | None = None


def context_of(payload: dict[str, Any]) -> StepContext:
    """The context of a run with that payload."""
    model = payload.get("model")
    return StepContext(MESSAGE_ID, model if isinstance(model, str) else None, payload)


def play(api: Api, pieces: Iterable[bytes], context: StepContext) -> Reading:
    """Read a body that arrives in `pieces`.

    Whatever is raised becomes the reading's error, also what is no documented exception.
    """
    events: list[Event] = []
    error: Exception | None = None
    try:
        parser, normalizer = api.parser().open(context), api.normalizer().open(context)
        _drive(cast(_Step, parser), cast(_Step, normalizer), pieces, events)
    except Exception as raised:
        error = raised
    return Reading(events, error, fold(events, context))


def fold(events: list[Event], context: StepContext) -> Result:
    """The result that events add up to."""
    accumulator = Accumulator(context.message_id, model=context.model)
    accumulator.feed(events, 0, [])
    return accumulator.snapshot()


def _drive(parser: _Step, normalizer: _Step, pieces: Iterable[bytes], out: list[Event]) -> None:
    """As the pipeline does: what came before an error is delivered before it."""
    items: list[Any] = []
    for piece in pieces:
        chunk = _CHUNKS[piece[0]] if len(piece) == 1 else RawChunk(piece)
        try:
            parser.feed((chunk,), 0, items)
        finally:
            if items:
                normalizer.feed(items, 0, out)
                items = []
    try:
        parser.finish(0, items)
    finally:
        if items:
            normalizer.feed(items, 0, out)
    normalizer.finish(0, out)
