"""Keeps many runs within bounds: streams at once and requests per second, fair and measured.

Share one limiter between connections. Waiting is first come, first served among those who can
go; its time is kept on the run's record, apart from the provider's time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from pydantic import Field

from .admission import Admission
from .errors import UsageError
from .option_base import Options

_OTHER_LOOPS_S = 0.1
"""How often a drain looks whether a loop on another thread was closed with runs on it."""


class Bounds(Options):
    """Bounds of one limiter, or of one provider within it; None is no bound.

    Attributes:
        max_streams: streams open at once.
        requests_per_s: requests started a second, on average.
        burst: how many may start at once when there was a lull; at least 1.
    """

    max_streams: int | None = Field(default=None, ge=1)
    requests_per_s: float | None = Field(default=None, gt=0)
    burst: int = Field(default=1, ge=1)


class Limiter:
    """Bounds for all runs that are given it, on each event loop of its own.

    What a closed loop left open counts as given back.

    Args:
        bounds: for all of them together.
        per_provider: further bounds by GenAI provider name.
    """

    def __init__(
        self, bounds: Bounds | None = None, per_provider: dict[str, Bounds] | None = None
    ) -> None:
        self._bounds = bounds or Bounds()
        self._per_provider = per_provider or {}
        self._admissions: dict[asyncio.AbstractEventLoop, Admission] = {}
        self._draining = False
        self._drains: set[asyncio.Future[None]] = set()

    @property
    def active(self) -> int:
        """Runs that are waiting or under way."""
        self._forget_closed()
        return sum(admission.active for admission in list(self._admissions.values()))

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a run as under way, from its first request to the end of its last.

        Raises:
            UsageError: `drain` was called; nothing new is let in.
        """
        if self._draining:
            raise UsageError("the limiter is draining: no new request is let in")
        admission = self._here()
        admission.active += 1
        try:
            yield
        finally:
            admission.active -= 1
            if self._drains and not self.active:
                self._wake_drains()

    @asynccontextmanager
    async def slot(self, provider: str) -> AsyncIterator[None]:
        """Hold a place while one request to `provider` is under way; waits its turn.

        Who waits for a place or the rate of `provider` takes nothing of the common bounds.
        """
        admission = self._here()
        await admission.enter(provider)
        try:
            yield
        finally:
            admission.leave(provider)

    async def drain(self) -> None:
        """Let no new run in and return when all that are under way have ended.

        A run under way may still retry, fail over and hedge. Any number of tasks may drain.
        """
        self._draining = True
        here = self._here()
        while self.active:
            idle = asyncio.get_running_loop().create_future()
            self._drains.add(idle)
            only_here = 0 < here.active == self.active
            try:
                await asyncio.wait([idle], timeout=None if only_here else _OTHER_LOOPS_S)
            finally:
                self._drains.discard(idle)

    def _wake_drains(self) -> None:
        for idle in list(self._drains):
            with suppress(RuntimeError):  # its loop is closed
                idle.get_loop().call_soon_threadsafe(_finish, idle)

    def _here(self) -> Admission:
        loop = asyncio.get_running_loop()
        found = self._admissions.get(loop)
        if found is None:
            self._forget_closed()
            found = self._admissions[loop] = Admission(self._bounds, self._per_provider)
        return found

    def _forget_closed(self) -> None:
        for loop in list(self._admissions):
            if loop.is_closed():
                self._admissions.pop(loop, None)


def _finish(idle: asyncio.Future[None]) -> None:
    if not idle.done():
        idle.set_result(None)
