"""Records handed to a function of the user's, or kept in memory."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .call_thread import CallThread
from .record import Trace, TraceRecord

TraceCallback = Callable[[TraceRecord], Any] | Callable[[TraceRecord], Awaitable[Any]]
"""Takes one record. A plain function runs in a thread of its own; an async one on the store's
event loop, not on the caller's."""


class CallbackSink:
    """Calls a function with every record.

    A record whose call raised is given again, as the whole batch is.

    Args:
        callback: the function.
    """

    def __init__(self, callback: TraceCallback) -> None:
        self._callback = callback
        self._async = inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(
            getattr(callback, "__call__", None)  # noqa: B004 - an object with an async __call__
        )
        self._thread = CallThread("tokenline-traces-callback")

    @property
    def name(self) -> str:
        """Name."""
        return f"callback:{getattr(self._callback, '__qualname__', type(self._callback).__name__)}"

    async def open(self) -> None:
        """Start the thread that calls."""
        if not self._async:
            self._thread.start()

    async def write(self, batch: Sequence[Trace]) -> None:
        """Call with each record in order."""
        if self._async:
            for trace in batch:
                await self._callback(trace.record)
        else:
            await self._thread.call(self._call_all, batch)

    def _call_all(self, batch: Sequence[Trace]) -> None:
        for trace in batch:
            self._callback(trace.record)

    async def flush(self) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        """End the thread; a call that hangs is left to itself."""
        self._thread.stop()


class MemorySink:
    """Keeps the latest records; for tests and for looking at in a shell.

    Attributes:
        records: the records, oldest first.
    """

    name = "memory"

    def __init__(self, max_records: int = 1000) -> None:
        self.records: deque[TraceRecord] = deque(maxlen=max_records)

    async def open(self) -> None:
        """Nothing to do."""

    async def write(self, batch: Sequence[Trace]) -> None:
        """Keep the records."""
        self.records.extend(trace.record for trace in batch)

    async def flush(self) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        """Nothing to do; the records stay."""
