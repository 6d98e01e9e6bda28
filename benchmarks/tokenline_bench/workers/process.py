"""A worker in a process of its own, as its session sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from tokenline.errors import ConfigError, StreamError
from tokenline_bench.config import Bench
from tokenline_bench.load.generator import Level

from .framing import frame, read_frame
from .messages import (
    Begin,
    Command,
    Failed,
    LevelEnded,
    Measured,
    Notice,
    Prepare,
    Prepared,
    RunLevel,
    Stop,
)
from .port import SampleSink
from .worker import EndpointFailedError

_DECODER = msgspec.msgpack.Decoder(Notice)
_END_S = 5.0
_LIMIT_BYTES = 1 << 20

M = TypeVar("M", Prepared, LevelEnded)


class ProcessWorker:
    """Starts `python -m tokenline_bench.workers` and speaks to it over its standard streams."""

    def __init__(self, process: asyncio.subprocess.Process, sink: SampleSink) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._commands = process.stdin
        self._notices = process.stdout
        self._sink = sink

    @classmethod
    async def start(
        cls, bench: Bench, worker: int, workers: int, sink: SampleSink
    ) -> ProcessWorker:
        """Start the process and tell it what to do."""
        with _sigint_held():
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tokenline_bench.workers"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LIMIT_BYTES,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        started = cls(process, sink)
        await started._send(Begin(bench=bench, worker=worker, workers=workers))
        return started

    async def prepare(self, first: bool) -> Prepared:
        """See `Worker.prepare`."""
        await self._send(Prepare(first=first))
        return await self._wait_for(Prepared)

    async def run_level(self, level: Level, traceparent: str | None = None) -> LevelEnded:
        """See `Worker.run_level`."""
        await self._send(RunLevel(level=level, traceparent=traceparent))
        return await self._wait_for(LevelEnded)

    async def stop(self) -> None:
        """See `Worker.stop`."""
        await self._send(Stop())

    async def aclose(self) -> None:
        """End the process and wait for its end."""
        self._commands.close()
        try:
            async with asyncio.timeout(_END_S):
                while await read_frame(self._notices, _DECODER) is not None:
                    pass
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _send(self, command: Command) -> None:
        self._commands.write(frame(command))
        try:
            await self._commands.drain()
        except ConnectionError as error:
            raise StreamError("a worker process has died; look above for its last words") from error

    async def _wait_for(self, kind: type[M]) -> M:
        while True:
            notice = await read_frame(self._notices, _DECODER)
            match notice:
                case Measured():
                    self._sink(notice.sample)
                case Failed():
                    raise (ConfigError if notice.usage else EndpointFailedError)(notice.message)
                case None:
                    raise StreamError("a worker process has died; look above for its last words")
                case _ if isinstance(notice, kind):
                    return notice


@contextlib.contextmanager
def _sigint_held() -> Iterator[None]:
    """A process that is started meanwhile never sees Ctrl-C, not even before its first line."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
