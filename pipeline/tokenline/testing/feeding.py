"""Feeds a step by hand: input in batches of any size, output and error noted at every call."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from itertools import pairwise
from random import Random
from typing import Any, TypeVar

from tokenline.stage import RawChunk

from .loop import run_virtual
from .stage_case import Sample, StageCase

T = TypeVar("T")

Batches = Iterable[Sequence[Any]]

MOST_SINGLE_BYTES = 20_000
PATIENCE_S = 3600.0
"""How long a call may take on the virtual clock."""


class StalledCallError(Exception):
    """A call of a step did not come back."""


@dataclass(frozen=True)
class Played:
    """What a step made of its input.

    Attributes:
        items: everything that it gave, in order.
        error: what it raised.
        state: what it held at the end.
    """

    items: list[Any]
    error: Exception | None
    state: Any

    def __eq__(self, other: object) -> bool:
        """Same items, same kind of error, same state."""
        return (
            isinstance(other, Played)
            and self.items == other.items
            and type(self.error) is type(other.error)
            and self.state == other.state
        )

    def difference(self, other: Played) -> str:
        """Where two differ, in words."""
        pairs = enumerate(zip(self.items, other.items, strict=False))
        at = next((n for n, (a, b) in pairs if a != b), min(len(self.items), len(other.items)))
        if self.items != other.items:
            counts = f"{len(self.items)} and {len(other.items)} items"
            return f"{counts}; item {at}: {_nth(self.items, at)} or {_nth(other.items, at)}"
        if type(self.error) is not type(other.error):
            return f"it ended with {self.error!r} or {other.error!r}"
        return f"it held {self.state!r} or {other.state!r}"


def _nth(items: list[Any], at: int) -> str:
    return repr(items[at]) if at < len(items) else "nothing"


@dataclass
class Hand:
    """Calls one step the way the pipeline does.

    Attributes:
        step: the step.
        given: the `out` list of every call, with its length when the call returned.
    """

    step: Any
    given: list[tuple[list[Any], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = ("feed", "finish", "fail")
        self._awaited = {n for n in names if iscoroutinefunction(getattr(self.step, n, None))}

    @property
    def items(self) -> list[Any]:
        """Everything that was given by the calls."""
        return [item for out, count in self.given for item in out[:count]]

    async def feed(self, items: Sequence[Any], recv_ns: int = 0) -> None:
        """One batch."""
        await self._call("feed", list(items), recv_ns)

    async def finish(self, recv_ns: int = 0) -> None:
        """The end of the input."""
        await self._call("finish", recv_ns)

    async def fail(self, error: BaseException, recv_ns: int = 0) -> None:
        """The input failed."""
        await self._call("fail", error, recv_ns)

    async def _call(self, name: str, *arguments: Any) -> None:
        out: list[Any] = []
        try:
            returned = getattr(self.step, name)(*arguments, out)
            if name in self._awaited:
                await _within(returned)
        finally:
            self.given.append((out, len(out)))

    def late_output(self) -> int:
        """How many items were put into an `out` list after its call had returned."""
        return sum(abs(len(out) - count) for out, count in self.given)


async def _within(returned: Coroutine[Any, Any, None]) -> None:
    limit = asyncio.timeout(PATIENCE_S)
    try:
        async with limit:
            await returned
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise StalledCallError("a call did not come back within an hour of virtual time") from error


def play(case: StageCase, sample: Sample, batches: Batches) -> Played:
    """Feed a fresh step these batches, then end its input."""
    return run_calls(case, play_through(case, sample, batches))


async def play_through(case: StageCase, sample: Sample, batches: Batches) -> Played:
    """Like `play`, on the running loop."""
    hand = Hand(case.stage.open(sample.context))
    error: Exception | None = None
    try:
        for batch in batches:
            await hand.feed(batch)
        await hand.finish()
    except Exception as raised:
        error = raised
    return Played(hand.items, error, case.state_of(hand.step))


def run_calls(case: StageCase, calls: Coroutine[Any, Any, T]) -> T:
    """Run calls of a step: on a virtual loop if it awaits, else without any."""
    if case.is_async:
        return run_virtual(calls)
    try:
        calls.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        calls.close()
    raise AssertionError("a step that does not await cannot wait")


def whole(items: Sequence[Any]) -> list[Sequence[Any]]:
    """All input in one batch."""
    return [items] if items else []


def singly(items: Sequence[Any]) -> list[Sequence[Any]]:
    """One item a batch; bytes one by one, unless there are very many."""
    if _are_bytes(items):
        body = _join(items)
        if len(body) <= MOST_SINGLE_BYTES:
            return [[RawChunk(body[at : at + 1])] for at in range(len(body))]
    return [[item] for item in items]


def at_random(items: Sequence[Any], seed: int) -> list[Sequence[Any]]:
    """Batches of any size; bytes cut anywhere. The same seed gives the same ones."""
    random = Random(seed)
    if _are_bytes(items):
        body = _join(items)
        return [[RawChunk(body[a:b])] for a, b in _spans(len(body), random)]
    return [items[a:b] for a, b in _spans(len(items), random)]


def _spans(length: int, random: Random) -> Iterator[tuple[int, int]]:
    most = max(1, min(length - 1, 200))
    count = round(most ** random.random())
    places = {0, length, *(random.randrange(length + 1) for _ in range(count))}
    return pairwise(sorted(places))


def beginnings(items: Sequence[Any], seed: int = 0, count: int = 6) -> Iterator[Sequence[Any]]:
    """The input cut short at a few places, bytes inside an item if need be; never empty."""
    random = Random(f"beginnings:{seed}")
    body = _join(items) if _are_bytes(items) else None
    length = len(items) if body is None else len(body)
    for _ in range(min(count, length - 1)):
        end = random.randrange(1, length)
        yield items[:end] if body is None else [RawChunk(body[:end])]


def _are_bytes(items: Sequence[Any]) -> bool:
    return bool(items) and all(isinstance(item, RawChunk) for item in items)


def _join(items: Sequence[Any]) -> bytes:
    return b"".join(item.data for item in items)
