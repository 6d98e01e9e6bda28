"""A source that plays reads from memory, one in each turn of the loop, as a socket would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from tokenline.source import ByteStream, Request
from tokenline.stage import RawChunk


class _Stream:
    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, reads: list[bytes]) -> None:
        self._reads = reads
        self._at = 0
        self._on_data: Callable[[bytes], bool] = lambda data: False
        self._on_end: Callable[[BaseException | None], None] = lambda error: None
        self._loop = asyncio.get_running_loop()

    async def read(self) -> bytes:
        """What is next; for execution without `attach`."""
        await asyncio.sleep(0)
        self._at += 1
        return self._reads[self._at - 1] if self._at <= len(self._reads) else b""

    def attach(
        self, on_data: Callable[[bytes], bool], on_end: Callable[[BaseException | None], None]
    ) -> None:
        """See `PushStream`."""
        self._on_data, self._on_end = on_data, on_end
        self._loop.call_soon(self._step)

    def resume(self) -> None:
        """See `PushStream`."""
        self._loop.call_soon(self._step)

    def _step(self) -> None:
        if self._at == len(self._reads):
            self._on_end(None)
            return
        self._at += 1
        if self._on_data(self._reads[self._at - 1]):
            self._loop.call_soon(self._step)

    async def aclose(self) -> None:
        """See `ByteStream`."""


class Playback:
    """See the module's docstring; every run gets the same reads."""

    name = "source"
    operation = "chat"
    server_address = "localhost"
    server_port = 443
    outlet: Any = RawChunk

    def __init__(self, provider: str, api: str, reads: list[bytes]) -> None:
        self.provider = provider
        self.api = api
        self._reads = reads

    async def prepare(self) -> None:
        """Nothing to make ready."""

    async def open(self, request: Request) -> ByteStream:
        """Begin at the first read."""
        return _Stream(self._reads)

    async def aclose(self) -> None:
        """Nothing to close."""
