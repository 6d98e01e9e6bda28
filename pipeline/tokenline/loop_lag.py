"""How long the event loop was blocked while a run waited: tells its time from the provider's.

One monitor for each loop, at work only while runs are. It times each turn of the loop, from the
moment the selector gave events to the moment it is asked again: for that long nobody looked at
the sockets, and whatever arrived looks late through no fault of the provider. The reasons are
many (a slow callback, JSON of megabytes, a garbage collection, another stream's work) and need no
telling apart. A turn of `BLOCK_NS` or more is a block; shorter ones are a loop doing its work.

Two clock reads and a comparison for each turn (0.3 µs): no timer wakes a loop that has nothing to
do. Loops without a selector of their own (uvloop) are watched by a timer instead, which sees a
block from its due time on and so reports up to `TIMER_PERIOD_S` less of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import msgspec

BLOCK_NS = 5_000_000
TIMER_PERIOD_S = 0.02


class LoopLag(msgspec.Struct, frozen=True):
    """Blocks of the event loop during a run: turns of `BLOCK_NS` or more without a look at sockets.

    A block that the run's own stages or its consumer's code made counts like any other; it shows
    in their processing time too. What arrived during a block was stamped late by up to its length.

    Attributes:
        blocks: how many there were.
        blocked_ns: Σ over blocks of the part between the run's start and its end.
        max_block_ns: the longest of them.
        first_token_blocked_ns: what of `blocked_ns` lay before the first token, counted from the
            run's start: with one attempt at most so much of the time to first token is the
            loop's, not the provider's.
    """

    blocks: int = 0
    blocked_ns: int = 0
    max_block_ns: int = 0
    first_token_blocked_ns: int = 0


_monitors: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopMonitor] = WeakKeyDictionary()


class TokenClock(Protocol):
    """Knows when the first content of a run came."""

    first_token_ns: int | None


class LoopWatch:
    """What one run sees of its loop, until `stop`."""

    __slots__ = ("_before_token_ns", "_blocked_ns", "_blocks", "_max_ns", "_monitor", "_tokens")

    def __init__(self, monitor: LoopMonitor, tokens: TokenClock) -> None:
        self._monitor = monitor
        self._tokens = tokens
        self._blocks = 0
        self._blocked_ns = 0
        self._before_token_ns = 0
        self._max_ns = 0

    def note(self, from_ns: int, to_ns: int) -> None:
        """The loop was blocked from then to then, while this watch was on."""
        took_ns = to_ns - from_ns
        self._blocks += 1
        self._blocked_ns += took_ns
        self._max_ns = max(self._max_ns, took_ns)
        token_ns = self._tokens.first_token_ns
        self._before_token_ns += max(0, (min(token_ns, to_ns) if token_ns else to_ns) - from_ns)

    def stop(self) -> LoopLag:
        """Watch no more; a block that still goes on counts up to now. Later calls add nothing."""
        self._monitor.forget(self)
        return LoopLag(self._blocks, self._blocked_ns, self._max_ns, self._before_token_ns)


class LoopMonitor:
    """Times the turns of one loop while somebody watches."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watches: dict[LoopWatch, int] = {}
        self._timing: _SelectorTiming | _TimerTiming | None = None
        self._make = _SelectorTiming if _SelectorTiming.fits(loop) else _TimerTiming

    def watch(self, loop: asyncio.AbstractEventLoop, tokens: TokenClock) -> LoopWatch:
        """Begin to watch for one run."""
        if self._timing is None:
            self._timing = self._make(loop, self._note)
        watch = LoopWatch(self, tokens)
        self._watches[watch] = perf_counter_ns()
        return watch

    def forget(self, watch: LoopWatch) -> None:
        """One run is over."""
        started_ns = self._watches.pop(watch, None)
        if started_ns is None or self._timing is None:
            return
        from_ns, now_ns = max(self._timing.running_since_ns, started_ns), perf_counter_ns()
        if now_ns - from_ns >= BLOCK_NS:
            watch.note(from_ns, now_ns)
        if not self._watches:
            self._timing.stop()
            self._timing = None

    def _note(self, from_ns: int, to_ns: int) -> None:
        for watch, started_ns in self._watches.items():
            since_ns = max(from_ns, started_ns)
            if to_ns - since_ns >= BLOCK_NS:
                watch.note(since_ns, to_ns)


class _SelectorTiming:
    """Times the turns of a loop by its selector, whose `select` is wrapped meanwhile.

    asyncio has no public hook between two turns; every loop of the standard library asks
    `_selector` (the proactor on Windows) in each.
    """

    __slots__ = ("_before", "_selector", "_timed", "running_since_ns")

    def __init__(self, loop: asyncio.AbstractEventLoop, note: Callable[[int, int], None]) -> None:
        self.running_since_ns = perf_counter_ns()
        self._selector: Any = loop._selector  # type: ignore[attr-defined]
        self._before = vars(self._selector).get("select")
        self._timed = self._wrap(self._selector.select, note)
        self._selector.select = self._timed

    @staticmethod
    def fits(loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the loop has a selector that can be timed."""
        selector = getattr(loop, "_selector", None)
        return callable(getattr(selector, "select", None)) and hasattr(selector, "__dict__")

    def _wrap(
        self, select: Callable[..., Any], note: Callable[[int, int], None]
    ) -> Callable[..., Any]:
        def timed(timeout: float | None = None) -> Any:
            now_ns = perf_counter_ns()
            if now_ns - self.running_since_ns >= BLOCK_NS:
                note(self.running_since_ns, now_ns)
            ready = select(timeout)
            self.running_since_ns = perf_counter_ns()
            return ready

        return timed

    def stop(self) -> None:
        """Give the selector back, unless somebody else has wrapped it since."""
        if vars(self._selector).get("select") is not self._timed:
            return
        if self._before is None:
            del self._selector.select
        else:
            self._selector.select = self._before


class _TimerTiming:
    """Times a loop by how late a timer is."""

    __slots__ = ("_loop", "_note", "_timer", "running_since_ns")

    def __init__(self, loop: asyncio.AbstractEventLoop, note: Callable[[int, int], None]) -> None:
        self._loop = loop
        self._note = note
        self._set()

    def _set(self) -> None:
        self.running_since_ns = perf_counter_ns() + round(TIMER_PERIOD_S * 1e9)
        self._timer = self._loop.call_later(TIMER_PERIOD_S, self._tick)

    def _tick(self) -> None:
        now_ns = perf_counter_ns()
        if now_ns - self.running_since_ns >= BLOCK_NS:
            self._note(self.running_since_ns, now_ns)
        self._set()

    def stop(self) -> None:
        """Set no more timers."""
        self._timer.cancel()


def watch_loop(loop: asyncio.AbstractEventLoop, tokens: TokenClock) -> LoopWatch:
    """Watch the running `loop` for one run.

    Args:
        loop: the loop of the run.
        tokens: has the stamp of the run's first content, once there is one.
    """
    monitor = _monitors.get(loop)
    if monitor is None:
        monitor = _monitors[loop] = LoopMonitor(loop)
    return monitor.watch(loop, tokens)
