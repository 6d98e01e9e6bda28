"""What the tests of every provider do: play a body, cut it, fold its events, check their shape."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from tokenline.errors import TokenlineError
from tokenline.events import (
    Event,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartStart,
    Ping,
    ToolCallEnd,
    ToolCallStart,
)
from tokenline.result import Result
from tokenline.stage import RawChunk, Step
from tokenline_stages.accumulator import Accumulator
from tokenline_stages.conformance.shape import broken_promise

Outcome = tuple[list[Event], TokenlineError | None]
"""The events of a body, and the error it ended with."""


def drive(
    parser: Step[RawChunk, Any], normalizer: Step[Any, Event], chunks: Iterable[bytes]
) -> Outcome:
    """Play a body that comes in `chunks`; what came before an error counts."""
    out: list[Event] = []
    try:
        for chunk in chunks:
            items: list[Any] = []
            try:
                parser.feed([RawChunk(chunk)], 0, items)
            finally:
                normalizer.feed(items, 0, out)
        items = []
        try:
            parser.finish(0, items)
        finally:
            normalizer.feed(items, 0, out)
        normalizer.finish(0, out)
    except TokenlineError as error:
        return out, error
    return out, None


def fold(events: Sequence[Event]) -> Result:
    """The result that events add up to."""
    accumulator = Accumulator()
    accumulator.feed(events, 0, [])
    return accumulator.snapshot()


def split(body: bytes, places: Iterable[int]) -> list[bytes]:
    """The body cut at `places`, each taken modulo its length."""
    edges = [0, *sorted({place % (len(body) + 1) for place in places}), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


def of(events: Sequence[Event], *types: type) -> list[Any]:
    """The events of some types."""
    return [event for event in events if isinstance(event, types)]


def check_shape(events: Sequence[Event], is_whole: bool = True) -> None:
    """Sequence numbers without gaps; every part opens once, closes once, grows in between."""
    assert broken_promise(events) is None
    assert isinstance(next(each for each in events if not isinstance(each, Ping)), MessageStart)
    assert not is_whole or isinstance(events[-1], MessageEnd)
    begun, ended = of(events, PartStart, ToolCallStart), of(events, PartEnd, ToolCallEnd)
    assert len(begun) == len(ended)  # also where no end of the message says so
