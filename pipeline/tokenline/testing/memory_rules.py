"""Rules on what a step holds on to, and on long input."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from inspect import iscoroutinefunction
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from .feeding import Hand, play, run_calls, whole
from .rule import Broken, rule, skip
from .stage_case import Sample, StageCase

MANY = 10_000
ONE_BY_ONE = 2_000
FEW_BYTES = 2 * 1024
"""How much a step's own bookkeeping may grow by over five hundred items."""

_OPAQUE = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType, FrameType)
_SHARED = (int, float, bool, type(None), Enum)
_MOST_OBJECTS = 200_000
_TRIES = 3


@rule
def holds_nothing_back_at_the_end(case: StageCase) -> None:
    """`finish` gives what is left: afterwards a step holds no row of its input items."""
    if case.keeps:
        raise skip("the stage keeps its input by design")
    for sample in case.samples:
        if sample.fails is not None:
            continue
        items = [_own(item) for item in sample.items]
        hand = run_calls(case, _end(case, sample, items))
        kept = _row_of(hand.step, items)
        if kept:
            raise Broken(f"{sample}: it still holds {len(kept)} items, {kept[0]!r} first")


async def _end(case: StageCase, sample: Sample, items: list[Any]) -> Hand:
    hand = Hand(case.stage.open(sample.context))
    await hand.feed(items)
    await hand.finish()
    return hand


def _own(item: Any) -> Any:
    """The item; a copy where equal values may be one object."""
    if isinstance(item, str):
        return "".join(list(item))
    return bytes(bytearray(item)) if type(item) is bytes else item


def _row_of(step: Any, items: Sequence[Any]) -> list[Any]:
    """Input items that stand side by side in one container of the step."""
    wanted = {id(item) for item in items if not isinstance(item, _SHARED)}
    for found in _reachable(step):
        if isinstance(found, list | tuple | set | dict) or type(found).__name__ == "deque":
            row = [held for held in gc.get_referents(found) if id(held) in wanted]
            if len(row) > 1:
                return row
    return []


def _reachable(root: Any) -> Iterable[Any]:
    seen: set[int] = set()
    waiting = [root]
    while waiting and len(seen) < _MOST_OBJECTS:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, _OPAQUE):
            continue
        seen.add(id(found))
        yield found
        waiting.extend(gc.get_referents(found))


@rule
def memory_is_bounded(case: StageCase) -> None:
    """A step's memory does not grow with the length of the response.

    One that keeps content by design may grow in proportion.
    """
    if case.long is None:
        raise skip("the case has no `long` input")
    lengths = [list(case.long(count)) for count in (250, 500, 1000)]
    first = second = 0
    with fresh_heap():
        for _ in range(_TRIES):  # what runs beside is measured, too; growth shows every time
            few, some, many = (_held(case, items) for items in lengths)
            first, second = some - few, many - some
            if second <= (3 * first if case.keeps else 0) + FEW_BYTES:
                return
    if case.keeps:
        raise Broken(
            f"250 more items made it {first:,} bytes larger, a further 500 {second:,};"
            " memory should grow in proportion to the content"
        )
    raise Broken(f"500 more items made it {second:,} bytes larger; it should keep none")


def _held(case: StageCase, items: list[Any]) -> int:
    """Bytes that a step holds when it was fed these items and not ended."""
    return run_calls(case, _measure(case, items))


async def _measure(case: StageCase, items: list[Any]) -> int:
    own = not tracemalloc.is_tracing()
    if own:
        tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        step = case.stage.open(case.samples[0].context)
        for item in items:
            returned: Any = step.feed([item], 0, [])
            if iscoroutinefunction(step.feed):
                await returned
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        return after - before
    finally:
        if own:
            tracemalloc.stop()


@rule
def takes_long_input(case: StageCase) -> None:
    """Ten thousand items, at once or one by one, do not exhaust the stack (3.3)."""
    if case.long is None:
        raise skip("the case has no `long` input")
    items = case.long(MANY)
    sample = Sample(items, context=case.samples[0].context)
    for batches in (whole(items), [[item] for item in items[:ONE_BY_ONE]]):
        error = play(case, sample, batches).error
        if isinstance(error, RecursionError):
            raise Broken(f"{len(items)} items made it raise {error!r}") from error


@rule
def forgets_a_run_that_is_over(case: StageCase) -> None:
    """When a run is dropped, nothing holds on to its step or its input (3.13)."""
    kind = type(case.stage.open(case.samples[0].context))
    with fresh_heap():
        for sample in case.samples:
            items = [item for item in sample.items if not isinstance(item, (*_SHARED, str, bytes))]
            held = sum(map(sys.getrefcount, items))
            for end in (True, False):
                run_calls(case, _run_and_drop(case, sample, end))
            if count_new(kind):
                raise Broken(f"{sample}: its {kind.__name__} outlived the run")
            if sum(map(sys.getrefcount, items)) > held:
                raise Broken(f"{sample}: references to input items outlived the run")


@contextmanager
def fresh_heap() -> Iterator[None]:
    """Leave what there is already out of collections and counts, which makes both quick.

    A heap that the caller has frozen stays frozen.
    """
    frozen = gc.get_freeze_count() > 0
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()


def count_new(kind: type) -> int:
    """How many objects of exactly this type were made in the fresh heap and are still there."""
    gc.collect()
    return sum(type(found) is kind for found in gc.get_objects())


async def _run_and_drop(case: StageCase, sample: Sample, end: bool) -> None:
    hand = Hand(case.stage.open(sample.context))
    items = sample.items if end else sample.items[: len(sample.items) // 2]
    try:
        for item in items:
            await hand.feed([item])
        if end:
            await hand.finish()
    except Exception:
        pass  # other rules look at errors
    hand.given.clear()
