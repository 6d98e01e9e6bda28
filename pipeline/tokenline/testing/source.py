"""A source that plays a script instead of a network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenline.source import ByteStream, Request
from tokenline.stage import RawChunk


class Pause:
    """A place in a script where the stream waits until the test says `resume`.

    Attributes:
        reached: set when the reader has come to it.
    """

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._resumed = asyncio.Event()

    def resume(self) -> None:
        """Let the stream go on."""
        self._resumed.set()

    async def wait(self) -> None:
        """Wait for `resume`."""
        self.reached.set()
        await self._resumed.wait()


@dataclass(frozen=True, slots=True)
class Wait:
    """A place in a script where the stream waits on the loop's clock.

    Attributes:
        seconds: how long; virtual under `run_virtual`.
    """

    seconds: float


Script = Sequence[bytes | Pause | Wait | BaseException]
"""What a stream gives, in order."""


@dataclass
class ScriptedStream:
    """One opened script.

    Attributes:
        closed: how often `aclose` was called.
        reads: how many reads were answered.
    """

    script: Script
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    closed: int = 0
    reads: int = 0
    _at: int = 0

    async def read(self) -> bytes:
        """The script's next bytes; waits at a pause, raises at an exception."""
        while self._at < len(self.script):
            entry = self.script[self._at]
            self._at += 1
            if isinstance(entry, bytes):
                self.reads += 1
                return entry
            if isinstance(entry, BaseException):
                raise entry
            if isinstance(entry, Wait):
                await asyncio.sleep(entry.seconds)
            else:
                await entry.wait()
        return b""

    async def aclose(self) -> None:
        """Count it."""
        self.closed += 1


class ScriptedSource:
    """A `tokenline.source.Source` that plays one script for each run.

    Args:
        scripts: what each `open` gives: a script, or an exception to raise; the last one repeats.
        headers_after_s: how long `open` takes.

    Attributes:
        streams: every stream opened so far.
        requests: every request so far.
    """

    name = "source"
    provider = "scripted"
    api = "scripted.bytes"
    operation = "chat"
    server_address: str | None = None
    server_port: int | None = None
    outlet: Any = RawChunk

    def __init__(self, *scripts: Script | BaseException, headers_after_s: float = 0.0) -> None:
        self._scripts = scripts
        self.headers_after_s = headers_after_s
        self.streams: list[ScriptedStream] = []
        self.requests: list[Request] = []
        self.closed = 0

    async def prepare(self) -> None:
        """Nothing to make ready."""

    async def open(self, request: Request) -> ByteStream:
        """Open the next script."""
        script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
        self.requests.append(request)
        if isinstance(script, BaseException):
            raise script
        if self.headers_after_s:
            await asyncio.sleep(self.headers_after_s)
        stream = ScriptedStream(script)
        self.streams.append(stream)
        return stream

    async def aclose(self) -> None:
        """Count it."""
        self.closed += 1
