"""Sinks that misbehave, and runs to give them."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from tests.pipeline.telemetry.factory import run_info, run_record

from tokenline.record import RunRecord
from tokenline_stages.traces import MemorySink, Trace, TraceStore


def run(number: int = 0, **changes: Any) -> RunRecord:
    """A finished run with a message id of its own."""
    payload = {"model": "gpt-test", "messages": [{"role": "user", "content": f"hello {number}"}]}
    return run_record(run_info(message_id=f"message-{number}", payload=payload), **changes)


def ids(sink: MemorySink) -> list[str]:
    """Message ids of what a sink got."""
    return [record.ids.message_id for record in sink.records]


class FlakySink(MemorySink):
    """Fails as often as it is told, then works.

    Attributes:
        failures: errors still to raise, in order.
        calls: names of the calls so far.
    """

    name = "flaky"

    def __init__(self, *failures: Exception) -> None:
        super().__init__(100_000)
        self.failures = list(failures)
        self.calls: list[str] = []

    async def open(self) -> None:
        self.calls.append("open")

    async def write(self, batch: Sequence[Trace]) -> None:
        self.calls.append("write")
        if self.failures:
            raise self.failures.pop(0)
        await super().write(batch)

    async def aclose(self) -> None:
        self.calls.append("aclose")


class HangingSink(MemorySink):
    """Takes a batch and does not come back until `go` is called.

    Attributes:
        reached: set when a write hangs.
    """

    name = "hanging"

    def __init__(self) -> None:
        super().__init__(100_000)
        self.reached = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: asyncio.Event | None = None

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open = asyncio.Event()

    async def write(self, batch: Sequence[Trace]) -> None:
        assert self._open is not None
        self.reached.set()
        await self._open.wait()
        await super().write(batch)

    def go(self) -> None:
        """Let everything through from now on."""
        assert self._loop is not None
        assert self._open is not None
        self._loop.call_soon_threadsafe(self._open.set)


def written(store: TraceStore) -> list[int]:
    """How many records each sink wrote."""
    return [sink.written for sink in store.stats.sinks]
