"""How a session speaks to a worker, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from tokenline_bench.load.generator import Level
from tokenline_bench.sample import Sample

from .messages import LevelEnded, Prepared

SampleSink: TypeAlias = Callable[[Sample], None]


class WorkerPort(Protocol):
    """A worker. Its samples go to the sink it was made with."""

    async def prepare(self, first: bool) -> Prepared:
        """See `Worker.prepare`."""
        ...

    async def run_level(self, level: Level, traceparent: str | None = None) -> LevelEnded:
        """See `Worker.run_level`."""
        ...

    async def stop(self) -> None:
        """See `Worker.stop`."""
        ...

    async def aclose(self) -> None:
        """Let go of it."""
        ...
