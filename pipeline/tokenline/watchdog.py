"""Keeps an attempt's time limits with one lazy timer.

Nothing is armed or cancelled on the hot path: reads and events leave stamps, and when the timer
fires it looks at them, and either fails the attempt or goes back to sleep until the earliest
moment a limit could pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

from .errors import (
    FirstTokenTimeoutError,
    HeadersTimeoutError,
    IdleTimeoutError,
    StallTimeoutError,
    StreamTimeoutError,
)
from .policy import Timeouts

_SLACK_NS = 1_000_000
"""Timers may fire this early: the loop's clock has a resolution of its own."""


class Watched(Protocol):
    """What a watchdog looks at: stamps of one attempt, monotonic ns, None if not there yet."""

    @property
    def request_ns(self) -> int | None:
        """The request was issued."""
        ...

    @property
    def headers_ns(self) -> int | None:
        """The response headers were there."""
        ...

    @property
    def waiting_since_ns(self) -> int | None:
        """Since when it waits for the provider; None while it does not."""
        ...

    @property
    def first_token_ns(self) -> int | None:
        """First content."""
        ...

    @property
    def last_token_ns(self) -> int | None:
        """Last content, or the end of the last time it was held back, whichever is later."""
        ...


class Watchdog:
    """Watches one attempt.

    Args:
        limits: the time limits.
        watched: the attempt's stamps.
        now_ns: monotonic clock.
        fail: called once, with the error, when a limit has passed.
    """

    def __init__(
        self,
        limits: Timeouts,
        watched: Watched,
        now_ns: Callable[[], int],
        fail: Callable[[StreamTimeoutError], None],
    ) -> None:
        self._limits = limits
        self._watched = watched
        self._now_ns = now_ns
        self._fail = fail
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to watch; does nothing if there is no limit."""
        self._sleep(min((s for s in self._periods() if s is not None), default=None))

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _periods(self) -> tuple[float | None, ...]:
        limits = self._limits
        return limits.headers_s, limits.first_token_s, limits.idle_s, limits.stall_s

    def _sleep(self, seconds: float | None) -> None:
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        now_ns = self._now_ns()
        nearest_ns: int | None = None
        for from_ns, limit_s, error_type, text in self._clocks(now_ns):
            deadline_ns = from_ns + int(limit_s * 1e9)
            if deadline_ns <= now_ns + _SLACK_NS:
                self._fail(error_type(text.format(limit=limit_s)))
                return
            nearest_ns = min(nearest_ns or deadline_ns, deadline_ns)
        if nearest_ns is not None:
            self._sleep((nearest_ns - now_ns) / 1e9)

    def _clocks(self, now_ns: int) -> Iterator[tuple[int, float, type[StreamTimeoutError], str]]:
        """(running since, limit, error, message) of every clock that is running."""
        limits, watched = self._limits, self._watched
        since_ns = watched.waiting_since_ns or now_ns
        request_ns = watched.request_ns or now_ns
        if limits.headers_s is not None and watched.headers_ns is None:
            yield request_ns, limits.headers_s, HeadersTimeoutError, _HEADERS
        if limits.first_token_s is not None and watched.first_token_ns is None:
            yield request_ns, limits.first_token_s, FirstTokenTimeoutError, _FIRST_TOKEN
        if limits.idle_s is not None:
            # Before the headers the idle clock stands: it only keeps the watchdog awake.
            running = watched.headers_ns is not None
            yield (since_ns if running else now_ns), limits.idle_s, IdleTimeoutError, _IDLE
        if limits.stall_s is not None:
            waits = watched.waiting_since_ns is not None
            running = waits and watched.last_token_ns is not None
            from_ns = (watched.last_token_ns or now_ns) if running else now_ns
            yield from_ns, limits.stall_s, StallTimeoutError, _STALL


_HEADERS = "no response headers within {limit:g} s (Timeouts.headers_s)"
_FIRST_TOKEN = "no content within {limit:g} s of the request (Timeouts.first_token_s)"
_IDLE = "the provider sent nothing for {limit:g} s (Timeouts.idle_s)"
_STALL = "no content for {limit:g} s (Timeouts.stall_s)"
