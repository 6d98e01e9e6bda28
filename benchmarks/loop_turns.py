"""What the event loop was doing while an event waited: why the latest ones were late.

Every turn of the loop is noted, from the moment its selector had something to the moment it is
asked again, with the CPU time that this thread used in it; and every garbage collection. The wait
of an event, from the server's write to our stamp, is laid over them.
"""

from __future__ import annotations

import asyncio
import gc
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rich.table import Table

from benchmarks.clock_table import MS_NS

CAUSES = ("garbage collection", "our turns", "others had the processor", "on the way")


class Turn(NamedTuple):
    """One turn of the loop, ns; `cpu_ns` is what of it this thread ran.

    A tuple of numbers: the garbage collector, which is being watched, does not look at it.
    """

    from_ns: int
    to_ns: int
    cpu_ns: int


@dataclass(slots=True)
class LoopWatch:
    """Turns and collections while it watches, in order of time.

    Attributes:
        turns: turns of the loop.
        pauses: collections, from and to.
    """

    turns: list[Turn] = field(default_factory=list)
    pauses: list[tuple[int, int]] = field(default_factory=list)
    _pause_ns: int = 0

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note the turns of the running loop; it needs a selector (asyncio's own loops)."""
        selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
        select = selector.select
        selector.select = self._timed(select)
        gc.callbacks.append(self._collecting)
        try:
            yield
        finally:
            gc.callbacks.remove(self._collecting)
            selector.select = select

    def _timed(self, select: Callable[..., Any]) -> Callable[..., Any]:
        from_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()

        def timed(timeout: float | None = None) -> Any:
            nonlocal from_ns, cpu_ns
            to_ns, used_ns = time.perf_counter_ns(), time.thread_time_ns()
            self.turns.append(Turn(from_ns, to_ns, used_ns - cpu_ns))
            ready = select(timeout)
            from_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
            return ready

        return timed

    def _collecting(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._pause_ns = time.perf_counter_ns()
        else:
            self.pauses.append((self._pause_ns, time.perf_counter_ns()))

    def causes(self, from_ns: int, to_ns: int) -> dict[str, float]:
        """What a wait was made of, ns by cause; they add up to it.

        CPU of a turn is taken to be spread evenly over it.
        """
        collecting = sum(_common(pause, (from_ns, to_ns)) for pause in self.pauses)
        turns = running = 0.0
        first = max(0, bisect_right(self.turns, from_ns, key=lambda turn: turn.from_ns) - 1)
        for turn in self.turns[first:]:
            if turn.from_ns >= to_ns:
                break
            common = _common((turn.from_ns, turn.to_ns), (from_ns, to_ns))
            turns += common
            running += common * min(1.0, turn.cpu_ns / max(1, turn.to_ns - turn.from_ns))
        ours = max(0.0, running - collecting)
        taken = max(0.0, turns - ours - collecting)
        parts = (collecting, ours, taken, max(0.0, to_ns - from_ns - turns))
        return dict(zip(CAUSES, parts, strict=True))


def _common(one: tuple[int, int], other: tuple[int, int]) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


def show_causes(title: str, watch: LoopWatch, events: Sequence[tuple[int, int]]) -> Table:
    """What the waits of all events and of the latest hundredth were made of.

    Args:
        title: heading.
        watch: what the loop did.
        events: when each was written and when it was ours.
    """
    by_wait = sorted(events, key=lambda event: event[1] - event[0])
    tail = by_wait[-max(1, len(by_wait) // 100) :]
    longest = max((to_ns - from_ns for from_ns, to_ns in watch.pauses), default=0)
    what = (
        f"{title}: what the wait was made of; {len(watch.pauses)} collections, longest"
        f" {longest / MS_NS:.1f} ms"
    )
    table = Table(title=what, title_justify="left")
    for heading in ("events", "n", "mean ms", *CAUSES, "met a collection"):
        table.add_column(heading, justify="left" if heading == "events" else "right")
    for name, chosen in (("all", by_wait), ("latest 1 %", tail)):
        table.add_row(name, *_row(watch, chosen))
    return table


def _row(watch: LoopWatch, events: Sequence[tuple[int, int]]) -> list[str]:
    found = [watch.causes(*event) for event in events]
    total = sum(to_ns - from_ns for from_ns, to_ns in events)
    shares = [f"{sum(causes[name] for causes in found) / total:.0%}" for name in CAUSES]
    met = sum(causes[CAUSES[0]] > 0 for causes in found) / len(events)
    return [str(len(events)), f"{total / len(events) / MS_NS:.2f}", *shares, f"{met:.0%}"]
