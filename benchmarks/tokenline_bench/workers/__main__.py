"""`python -m tokenline_bench.workers`: a worker that is told what to do on its standard input.

It ends with its standard input, and leaves Ctrl-C to the session.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from typing import Any

import msgspec

from tokenline.errors import ConfigError, TokenlineError
from tokenline_bench.load.generator import Share
from tokenline_bench.sample import Sample

from .framing import frame, read_frame
from .messages import Begin, Command, Failed, Measured, Notice, Prepare, RunLevel, Stop
from .worker import Worker

_DECODER = msgspec.msgpack.Decoder(Command)


class _Servant:
    """Does what it is told, one command at a time; `Stop` also while a level runs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        while (command := await read_frame(self._reader, _DECODER)) is not None:
            match command:
                case Stop():
                    if self._worker is not None:
                        await self._worker.stop()
                case Begin() | Prepare() | RunLevel():
                    if self._task is not None:
                        await self._task
                    self._task = asyncio.create_task(self._obey(command))
        await self._end()

    async def _obey(self, command: Any) -> None:
        try:
            await self._do(command)
        except ConfigError as error:
            self._tell(Failed(usage=True, message=str(error)))
        except TokenlineError as error:
            self._tell(Failed(usage=False, message=str(error)))
        except Exception as error:  # the session waits for an answer, whatever went wrong
            words = f"a worker process failed: {type(error).__name__}: {error}"
            self._tell(Failed(usage=False, message=words))

    async def _do(self, command: Any) -> None:
        if isinstance(command, Begin):
            part = Share(command.worker, command.workers)
            self._worker = Worker(command.bench, part, self._note)
            return
        if self._worker is None:
            return
        if isinstance(command, Prepare):
            self._tell(await self._worker.prepare(command.first))
            gc.collect()
            gc.freeze()
        elif isinstance(command, RunLevel):
            self._tell(await self._worker.run_level(command.level, command.traceparent))

    async def _end(self) -> None:
        if self._worker is None:
            return
        await self._worker.stop()
        if self._task is not None:
            await self._task
        await self._worker.aclose()

    def _note(self, sample: Sample) -> None:
        self._tell(Measured(sample=sample))

    def _tell(self, notice: Notice) -> None:
        self._writer.write(frame(notice))


async def _main() -> None:
    loop = asyncio.get_running_loop()
    notices = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints must not get between the messages
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await loop.connect_read_pipe(lambda: protocol, sys.stdin)
    transport, flow = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, notices)
    writer = asyncio.StreamWriter(transport, flow, None, loop)
    await _Servant(reader, writer).serve()
    writer.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_main())
