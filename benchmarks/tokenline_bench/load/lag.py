"""Watches the event loop: how late timers fire."""

from __future__ import annotations

import asyncio
import time
from array import array

INTERVAL_S = 0.01


class LagWatch:
    """Notes the lag of the running loop every 10 ms.

    A stall shows from the time on at which the next timer was due: one shorter than the interval
    is seen in part, or not at all.

    Attributes:
        stamps_ns: when each timer fired.
        lags_ns: how late it was.
    """

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self.stamps_ns: array[int] = array("q")
        self.lags_ns: array[int] = array("q")
        self._interval_ns = round(interval_s * 1e9)
        self._due_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch from now on."""
        self._loop = asyncio.get_running_loop()
        self._schedule()

    def stop(self) -> None:
        """Watch no longer. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(self) -> tuple[array[int], array[int]]:
        """What was noted since the last call: stamps and lags."""
        taken = self.stamps_ns, self.lags_ns
        self.stamps_ns, self.lags_ns = array("q"), array("q")
        return taken

    def _schedule(self) -> None:
        self._due_ns = time.perf_counter_ns() + self._interval_ns
        self._timer = self._loop.call_later(self._interval_ns / 1e9, self._fire)

    def _fire(self) -> None:
        now_ns = time.perf_counter_ns()
        self.stamps_ns.append(now_ns)
        self.lags_ns.append(max(0, now_ns - self._due_ns))
        self._schedule()
