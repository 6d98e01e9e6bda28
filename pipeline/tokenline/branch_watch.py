"""Ends a branch whose stage does not return once the response is over.

Only a call that does not come back counts: a stage that takes long over many batches, or waits
for the reader behind it, is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .branches import Branches

_SHORTEST_S = 0.001


class BranchWatch:
    """Looks after the branches of one run from the end of its response on.

    Args:
        branches: whose stages are watched.
        loop: where timers run.
        now_ns: the run's clock.
    """

    def __init__(
        self, branches: Branches, loop: asyncio.AbstractEventLoop, now_ns: Callable[[], int]
    ) -> None:
        self._branches = branches
        self._loop = loop
        self._now = now_ns
        self._grace_s = 0.0
        self._reason = ""
        self._from_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, grace_s: float, reason: str) -> None:
        """From now on cut off what does not return for `grace_s`; again, with other limits."""
        self.stop()
        if self._branches.may_take_time:
            self._grace_s = grace_s
            self._reason = reason
            self._from_ns = self._now()
            self._timer = self._loop.call_later(grace_s, self._look)

    @property
    def started(self) -> bool:
        """Whether it is at work."""
        return self._timer is not None

    def stop(self) -> None:
        """Look no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now_ns = self._now()
        next_s = self._grace_s
        for name, since_ns in self._branches.awaiting():
            left_s = self._grace_s - (now_ns - max(since_ns, self._from_ns)) / 1e9
            if left_s <= 0:
                self._branches.cut_off(name, self._reason)
            else:
                next_s = min(next_s, left_s)
        if self._branches.may_take_time:
            self._timer = self._loop.call_later(max(next_s, _SHORTEST_S), self._look)
