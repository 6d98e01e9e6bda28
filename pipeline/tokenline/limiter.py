"""Keeps many runs within bounds: streams at once and requests per second, fair and measured.

Share one limiter between connections. Waiting is first come, first served; its time is kept on
the run's record, apart from the provider's time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pydantic import Field

from .errors import UsageError
from .option_base import Options

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter


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


class _Gates:
    """One loop's semaphore and rate limiter for one set of bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self.slots = asyncio.Semaphore(bounds.max_streams) if bounds.max_streams else None
        self.rate: AsyncLimiter | None = None
        if bounds.requests_per_s is not None:
            from aiolimiter import AsyncLimiter

            self.rate = AsyncLimiter(bounds.burst, bounds.burst / bounds.requests_per_s)


class Limiter:
    """Bounds for all runs that are given it.

    Args:
        bounds: for all of them together.
        per_provider: further bounds by GenAI provider name.
    """

    def __init__(
        self, bounds: Bounds | None = None, per_provider: dict[str, Bounds] | None = None
    ) -> None:
        self._bounds = bounds or Bounds()
        self._per_provider = per_provider or {}
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Gates]] = (
            WeakKeyDictionary()
        )
        self._active = 0
        self._draining = False
        self._idle: asyncio.Event | None = None

    @property
    def active(self) -> int:
        """Runs that are waiting or under way."""
        return self._active

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a run as under way, from its first request to the end of its last.

        Raises:
            UsageError: `drain` was called; nothing new is let in.
        """
        if self._draining:
            raise UsageError("the limiter is draining: no new request is let in")
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            if not self._active and self._idle is not None:
                self._idle.set()

    @asynccontextmanager
    async def slot(self, provider: str) -> AsyncIterator[None]:
        """Hold a place while one request to `provider` is under way; waits its turn."""
        held: list[asyncio.Semaphore] = []
        try:
            for gates in (self._of("", self._bounds), self._of_provider(provider)):
                if gates is not None and gates.slots is not None:
                    await gates.slots.acquire()
                    held.append(gates.slots)
                if gates is not None and gates.rate is not None:
                    await gates.rate.acquire()
            yield
        finally:
            for slots in held:
                slots.release()

    async def drain(self) -> None:
        """Let no new run in and return when all that are under way have ended.

        A run under way may still retry, fail over and hedge.
        """
        self._draining = True
        if self._active:
            self._idle = asyncio.Event()
            await self._idle.wait()

    def _of_provider(self, provider: str) -> _Gates | None:
        bounds = self._per_provider.get(provider)
        return self._of(provider, bounds) if bounds is not None else None

    def _of(self, key: str, bounds: Bounds) -> _Gates:
        of_loop = self._gates.setdefault(asyncio.get_running_loop(), {})
        if key not in of_loop:
            of_loop[key] = _Gates(bounds)
        return of_loop[key]
